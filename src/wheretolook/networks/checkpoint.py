"""Model files: safetensors with a card. Whoever has the file can use it."""

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from wheretolook.base.errors import InputError
from wheretolook.base.files import replacing
from wheretolook.networks.architectures import code_of
from wheretolook.networks.build_network import build_network
from wheretolook.networks.card import METADATA_KEY, Card, card_to_json, read_checked_card
from wheretolook.networks.layered import Network

# So many names of a list of faults are shown.
_SHOWN = 3
# What builders raise of arguments that make no network, as one whose channels no number of 64 bits can count.
_BUILD_ERRORS = (ArithmeticError, AssertionError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)


def save_model(path: Path, network: Network, card: Card) -> None:
    """Write a model file, whole or not at all; equal weights and cards give equal bytes.

    Args:
        path: the file, `NAME.safetensors`.
        network: its weights and running statistics are stored as float32, counters as they are.
        card: must name the network's own layers.

    Raises:
        InputError: a weight that is NaN or infinite.
        ValueError: the card names other layers than the network, or holds a NaN.
    """
    if card.layers != network.layer_names:
        raise ValueError(f"the card names the layers {card.layers}, the network has {network.layer_names}")
    state = {name: _stored(tensor) for name, tensor in network.state_dict().items()}
    check_finite(str(path), state)
    with replacing(path) as scratch:
        # Not save_file, which gives a file that only its owner can read.
        scratch.write_bytes(save(state, metadata={METADATA_KEY: card_to_json(card)}))


def load_model(path: Path, device: torch.device, accept_code: bool = False) -> tuple[Network, Card]:
    """Read a model file: the network in evaluation mode on `device`, and its card.

    Args:
        path: the file.
        device: for the network.
        accept_code: build a network of the user's own code though that code changed since.

    Raises:
        InputError: no such file, another format, a card that is not whole, weights that do not fit the architecture or
            are not finite.
    """
    card = read_checked_card(path)
    if not accept_code:
        check_code(path, card)
    network = _skeleton(path, card)
    if card.layers != network.layer_names:
        raise InputError(path, expected=f"the layers of {card.architecture}, {network.layer_names}", found=card.layers)
    state = _read_state(path)
    check_fits(path, card.architecture, network.state_dict(), state)
    check_finite(str(path), state)
    network.load_state_dict(state, assign=True)
    return network.eval().to(device), card


def check_code(path: Path, card: Card) -> None:
    """Refuse a model of the user's own code, where that code is not here or is another.

    The card of a file from outside names the code, so this also keeps such a file from calling any other.

    Raises:
        InputError: a file that is missing, or whose SHA-256 differs.
    """
    here = code_of(card.architecture)
    if here == card.code:
        return
    given, here = card.code or {}, here or {}
    changed = sorted(name for name in {*given, *here} if given.get(name) != here.get(name))
    raise InputError(
        str(path),
        f"the code of {card.architecture} as it was when the model was made",
        f"another version of {', '.join(changed)}",
        "Bring those files back (git log shows their versions), or train the model again",
    )


def check_fits(path: Path, architecture: str, expected: dict[str, Tensor], found: dict[str, Tensor]) -> None:
    """Refuse a state dict whose names, shapes or types are not those of the architecture.

    Args:
        path: named in the message.
        architecture: named in the message.
        expected: the state dict of a fresh network.
        found: the state dict that was read.
    """
    other = [
        f"{name} is {_describe(found[name])} instead of {_describe(tensor)}"
        for name, tensor in expected.items()
        if name in found and _describe(found[name]) != _describe(tensor)
    ]
    faults = {
        "missing": [name for name in expected if name not in found],
        "unknown": [name for name in found if name not in expected],
        "of another shape or type": other,
    }
    told = "; ".join(f"{word}: {_first(names)}" for word, names in faults.items() if names)
    if told:
        raise InputError(
            path,
            expected=f"the weights of {architecture}",
            found=f"others: {told}",
            hint="the file's architecture or arguments are not those it was trained with",
        )


def _skeleton(path: Path, card: Card) -> Network:
    """The network that the card names, without weights."""
    try:
        # All weights come from the file: random ones are neither made nor drawn from the global generator.
        with torch.device("meta"), torch.random.fork_rng(devices=[]):
            return build_network(card.architecture, len(card.class_names), card.arguments)
    except _BUILD_ERRORS as error:
        raise InputError(
            path,
            expected=f"arguments in the card that {card.architecture} can be built with",
            found=f"{str(card.arguments)[:120]} ({str(error)[:200]})",
            hint="ask who made it, or train it again",
        ) from error


def _read_state(path: Path) -> dict[str, Tensor]:
    try:
        # Copied, since weights in the mapped file lie at odd addresses: there, some kernels round in another order.
        return {name: tensor.clone() for name, tensor in load_file(path).items()}
    except SafetensorError as error:
        raise InputError(
            path, expected="a whole safetensors file", found=f"a broken one ({error})", hint="fetch it again"
        ) from error


def check_finite(subject: str, state: dict[str, Tensor], hint: str = "Train it again") -> None:
    """Refuse weights with NaN or infinity.

    Args:
        subject: the file, for the message.
        state: names to tensors.
        hint: what to do about it.
    """
    bad = [name for name, tensor in state.items() if not bool(torch.isfinite(tensor).all())]
    if bad:
        raise InputError(subject, "finite weights", f"NaN or infinity in {_first(bad)}", hint)


def _stored(tensor: Tensor) -> Tensor:
    tensor = tensor.detach().cpu()
    # Contiguous: channels-last is a choice of who runs the network, and safetensors refuses it.
    return (tensor.float() if tensor.is_floating_point() else tensor).contiguous()


def _describe(tensor: Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} {tuple(tensor.shape)}"


def _first(names: list[str]) -> str:
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
