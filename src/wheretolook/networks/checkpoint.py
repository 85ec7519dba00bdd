"""Networks by the name of their architecture, and model files: safetensors with a card."""

from collections.abc import Mapping
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from wheretolook.base.errors import InputError
from wheretolook.base.files import replacing
from wheretolook.base.prepared import class_names_of
from wheretolook.networks.architectures import (
    OWN_NETWORKS,
    changed_code,
    check_code,
    check_own_arguments,
    code_of,
    parse_architecture,
)
from wheretolook.networks.card import METADATA_KEY, Card, card_to_json, read_checked_card
from wheretolook.networks.layered import Network, load_weights, two_logits


def build_network(architecture: str, class_count: int, arguments: Mapping[str, Any]) -> Network:
    """Build a network with random weights, drawn from PyTorch's global generator.

    Args:
        architecture: in a form that `parse_architecture` accepts.
        class_count: K, the number of outputs.
        arguments: keyword arguments of the architecture; looknet takes `width` and `depth`. For a wrapped network
            (`is_wrapped`), the keys "keywords", "layers" and "classifier" of its card.

    Raises:
        InputError: unknown architecture, or invalid arguments.
    """
    if class_count < 1:
        raise InputError(architecture, expected="at least one output", found=class_count)
    if architecture in OWN_NETWORKS:
        check_own_arguments(architecture, arguments)
        module, name = OWN_NETWORKS[architecture]
        return getattr(import_module(module), name)(class_count, **arguments)
    source = parse_architecture(architecture)
    if not is_wrapped(architecture):
        # Imported only when needed: importing torchvision takes seconds.
        from wheretolook.networks.torchvision_networks import build_torchvision_network

        return build_torchvision_network(source.name, class_count, arguments)
    from wheretolook.networks.bare_networks import build_bare
    from wheretolook.networks.module_network import LayerSpec, ModuleNetwork

    if set(arguments) != {"keywords", "layers", "classifier"}:
        raise InputError(
            architecture, "the arguments keywords, layers and classifier", ", ".join(arguments) or "no arguments"
        )
    body = build_bare(source, class_count, arguments["keywords"])
    layers = [LayerSpec(*values) for values in arguments["layers"]]
    return ModuleNetwork(body, layers, arguments["classifier"], class_count)


def with_two_logits(network: Network, architecture: str, arguments: Mapping[str, Any], output: int = 0) -> Network:
    """A network of an output z as one of two, -z/2 and z/2; heads of inner layers likewise.

    Args:
        network: with one output, or more.
        architecture, arguments: for `build_network`.
        output: index of the output.
    """
    with torch.random.fork_rng(devices=[]):
        two, three = (build_network(architecture, count, arguments) for count in (2, 3))
    state, wider = network.state_dict(), three.state_dict()
    for name, tensor in two.state_dict().items():
        if wider[name].shape != tensor.shape:
            state[name] = two_logits(state[name][output : output + 1], 0)
    load_weights(two, state)
    return two


def is_wrapped(architecture: str) -> bool:
    """Whether the network has no layer definitions here, so that its layers are found by a dry run."""
    source = parse_architecture(architecture)
    if source.kind != "torchvision":
        return source.kind != "own"
    if "/" not in architecture:
        return False
    from wheretolook.networks.torchvision_networks import known_architectures

    return source.name not in known_architectures()


def check_architecture(architecture: str) -> None:
    """Check that `build_network` knows an architecture, without building it.

    Raises:
        InputError: unknown architecture.
    """
    if architecture in OWN_NETWORKS:
        return
    source = parse_architecture(architecture)
    if is_wrapped(architecture):
        from wheretolook.networks.bare_networks import check_bare

        check_bare(source)
    else:
        from wheretolook.networks.torchvision_networks import find_family

        find_family(source.name)


_SHOWN = 3  # tensor names in a message
# Raised by constructors for invalid arguments, such as a number of channels beyond 64 bits.
_BUILD_ERRORS = (ArithmeticError, AssertionError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)


def save_model(path: Path, network: Network, card: Card) -> None:
    """Write a model file atomically; equal weights and cards give equal bytes.

    Args:
        path: the file, `NAME.safetensors`.
        network: its floating-point tensors are stored as float32, others unchanged.
        card: its layers must be those of the network.

    Raises:
        InputError: a weight is NaN or infinite.
        ValueError: the card has other layers than the network, or NaN.
    """
    if card.layers != network.layer_names:
        raise ValueError(f"the card names the layers {card.layers}, the network has {network.layer_names}")
    state = {name: _stored(tensor) for name, tensor in network.state_dict().items()}
    check_finite(str(path), state)
    with replacing(path) as scratch:
        # save_file would create a file that only its owner can read.
        scratch.write_bytes(save(state, metadata={METADATA_KEY: card_to_json(card)}))


def load_model(
    path: str | Path, device: str | torch.device = "cpu", accept_code: bool = False, label: str = ""
) -> tuple[Network, Card]:
    """Load a model file: the network in evaluation mode on `device`, and its card.

    A network with labels of their own is given as one of two classes: the absence and the presence of one label.

    Args:
        path: the file.
        device: for the network.
        accept_code: load a network of the user's code even if that code has changed since. The card that is returned
            then has the present code, and lists the changed files as `training["accepted_code"]`.
        label: that label; empty: the one that the classes of its training data are made of.

    Raises:
        InputError: as `load_outputs`; or no such label.
    """
    network, card = load_outputs(path, "cpu", accept_code)
    if label and label not in card.labels:
        raise InputError(path, f"the label {label}", f"the labels {', '.join(card.labels) or '(none)'}")
    if not card.labels or card.outputs is None:
        return network.to(device), card
    outputs = card.outputs | ({"shown": label} if label else {})
    network = with_two_logits(network, card.architecture, card.arguments, card.labels.index(outputs["shown"]))
    card = replace(card, outputs=outputs, class_names=class_names_of(outputs, card.class_names))
    return network.eval().to(device), card


def load_outputs(
    path: str | Path, device: str | torch.device = "cpu", accept_code: bool = False
) -> tuple[Network, Card]:
    """Load a model file as `load_model`, with all outputs of the file.

    Raises:
        InputError: no such file, another format, an invalid card, or weights that do not match the architecture or are
            not finite.
    """
    path = Path(path)
    card = read_checked_card(path)
    if not accept_code:
        check_code(path, card)
    elif changed := changed_code(card):
        training = card.training | {"accepted_code": changed}
        card = replace(card, code=code_of(card.architecture), training=training)
    network = _without_weights(path, card)
    if card.layers != network.layer_names:
        layers = ", ".join(network.layer_names)
        raise InputError(path, f"the layers of {card.architecture}: {layers}", ", ".join(card.layers))
    state = _read_state(path)
    check_fits(path, card.architecture, network.state_dict(), state)
    check_finite(str(path), state)
    if is_wrapped(card.architecture):
        # Its constructor may compute tensors that are not in the state dict, such as indices of positions.
        network = _built(path, card, "cpu")
    load_weights(network, state, assign=True)
    return network.eval().to(device), card


def check_fits(path: Path, architecture: str, expected: dict[str, Tensor], found: dict[str, Tensor]) -> None:
    """Check that names, shapes and dtypes of a state dict are those of the architecture.

    Args:
        path: for the message.
        architecture: for the message.
        expected: state dict of a new network.
        found: state dict from the file.

    Raises:
        InputError: they differ.
    """
    mismatched = [
        f"{name} is {_describe(found[name])} instead of {_describe(tensor)}"
        for name, tensor in expected.items()
        if name in found and _describe(found[name]) != _describe(tensor)
    ]
    differences = {
        "missing": [name for name in expected if name not in found],
        "unexpected": [name for name in found if name not in expected],
        "shape or dtype": mismatched,
    }
    if any(differences.values()):
        raise InputError(
            path,
            expected=f"the weights of {architecture}",
            found="; ".join(f"{kind}: {_first(names)}" for kind, names in differences.items() if names),
            hint="the architecture or arguments in the card are not those of the trained network",
        )


def _without_weights(path: Path, card: Card) -> Network:
    """The network of a card on the meta device, without memory for its weights.

    Args:
        path: for messages.
        card: of an untrusted file.

    Raises:
        InputError: arguments in the card that the architecture does not accept.
    """
    try:
        return _built(path, card, "meta")
    except InputError:
        if not is_wrapped(card.architecture):
            raise
        # A constructor that reads a value, as in `torch.linspace(...).tolist()`, cannot run there.
        return _built(path, card, "cpu")


def _built(path: Path, card: Card, device: str) -> Network:
    try:
        # All weights come from the file, so the global random generator must not advance.
        with torch.device(device), torch.random.fork_rng(devices=[]):
            return build_network(card.architecture, len(card.labels or card.class_names), card.arguments)
    except _BUILD_ERRORS as error:
        raise InputError(
            path,
            expected=f"arguments in the card that {card.architecture} accepts",
            found=f"{str(card.arguments)[:120]} ({str(error)[:200]})",
            hint="ask who made the file, or train the model again",
        ) from error


def _read_state(path: Path) -> dict[str, Tensor]:
    try:
        # Copied, because tensors in the mapped file are not aligned: some kernels then round in another order.
        return {name: tensor.clone() for name, tensor in load_file(path).items()}
    except SafetensorError as error:
        raise InputError(
            path, "a complete safetensors file", f"a damaged file ({error})", "download it again"
        ) from error


def check_finite(subject: str, state: dict[str, Tensor], hint: str = "Train it again") -> None:
    """Check that no weight is NaN or infinite.

    Args:
        subject: the file, for the message.
        state: names and tensors.
        hint: for the message.

    Raises:
        InputError: a weight is NaN or infinite.
    """
    bad = [name for name, tensor in state.items() if not bool(torch.isfinite(tensor).all())]
    if bad:
        raise InputError(subject, "finite weights", f"NaN or infinity in {_first(bad)}", hint)


def _stored(tensor: Tensor) -> Tensor:
    tensor = tensor.detach().cpu()
    # safetensors rejects tensors in channels-last memory format.
    return (tensor.float() if tensor.is_floating_point() else tensor).contiguous()


def _describe(tensor: Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} {tuple(tensor.shape)}"


def _first(names: list[str]) -> str:
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
