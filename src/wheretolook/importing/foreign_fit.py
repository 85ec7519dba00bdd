"""Converting a foreign state dict to a model file: renamed heads, and a guess of the right architecture."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from wheretolook.base.errors import InputError
from wheretolook.networks.architectures import code_of
from wheretolook.networks.card import Card
from wheretolook.networks.checkpoint import build_network, check_finite, save_model
from wheretolook.networks.foreign_file import read_foreign
from wheretolook.networks.foreign_state import State, find_state, had_prefix, original_name, shown_name, without_prefix
from wheretolook.networks.layered import LookNet, Network, load_weights, two_logits
from wheretolook.networks.module_network import ModuleNetwork


def convert_state(path: Path, subject: str, target: Path, description: Mapping[str, Any]) -> list[str]:
    """Convert a foreign file to a model file.

    Args:
        path: the foreign file.
        subject: its name in messages.
        target: the model file.
        description: fields of `foreign.Description`.

    Returns:
        The choices that were made: the state dict, the prefix that was removed, tensors that were ignored.

    Raises:
        InputError: the file would run code, has no state dict, or one that does not match the architecture.
    """
    found, reports = find_state(read_foreign(path, subject), subject, description["key"])
    network = build_network(description["architecture"], len(description["class_names"]), description["arguments"])
    reports += load_foreign(network, found.tensors, subject, description["architecture"], description["class_names"])
    inner = network.copy_layer_heads() if isinstance(network, ModuleNetwork) else ()
    save_model(target, network, _card(network, description, inner))
    return reports


def _card(network: Network, description: Mapping[str, Any], inner: tuple[str, ...]) -> Card:
    return Card(
        architecture=description["architecture"],
        arguments=description["arguments"],
        class_names=tuple(description["class_names"]),
        input_size=description["input_size"],
        mean=tuple(description["mean"]),
        std=tuple(description["std"]),
        loss="every" if inner else "last",
        layers=network.layer_names,
        trained_heads=(*inner, network.layer_names[-1]),
        data={},
        training={},
        history=[],
        fit=description["fit"],
        code=code_of(description["architecture"]),
    )


# Least share of tensors that must match for a guess.
_LEAST_MATCH = 0.98
# A family is searched if this share of the names matches its first member.
_LEAST_FAMILY_MATCH = 0.3


def guess_architecture(state: Mapping[str, Tensor], excluded: str = "") -> str:
    """The architecture with these tensors, as written in params.yaml; empty if none matches.

    The number of classes may differ.

    Args:
        state: the tensors, under the names of the network without a wrapper.
        excluded: an architecture that is known not to match.
    """
    if looknet := _looknet(state):
        return looknet
    from torchvision import models

    from wheretolook.networks.torchvision_networks import known_architectures

    families: dict[str, list[str]] = {}
    for name in known_architectures():
        families.setdefault(re.sub("[^a-z].*", "", name), []).append(name)
    best, most = "", _LEAST_MATCH
    for names in families.values():
        for number, name in enumerate(names):
            with torch.device("meta"):
                try:
                    body = models.get_model(name, weights=None, num_classes=2)
                except NotImplementedError:  # a regnet, which the meta device does not support
                    break
            share, share_of_names = _match(state, body)
            if share > most and name != excluded:
                best, most = name, share
            if number == 0 and share_of_names < _LEAST_FAMILY_MATCH:
                break
    return best


def _looknet(state: Mapping[str, Tensor]) -> str:
    depth = sum(re.fullmatch(r"blocks\.block\d+\.0\.weight", name) is not None for name in state)
    first = state.get("blocks.block1.0.weight")
    if first is None or first.ndim != 4 or depth > 10 or len(first) > 1024:
        return ""
    with torch.device("meta"):
        network = LookNet(2, width=first.shape[0], depth=depth)
    network.side_heads = nn.ModuleDict()
    share, _ = _match({n: t for n, t in state.items() if not n.startswith("side_heads.")}, network)
    return f"looknet with `arguments: width={first.shape[0]},depth={depth}`" if share > _LEAST_MATCH else ""


def _match(state: Mapping[str, Tensor], body: nn.Module) -> tuple[float, float]:
    """Share of tensors with the same name and shape, and with the same name, among those of either side."""
    own = body.state_dict()
    counters = [name for name in own if name.endswith("num_batches_tracked")]
    names = {*own, *state} - set(counters)
    same = [name for name in names if name in own and name in state]
    shapes = [name for name in same if _same_shape(own[name], state[name])]
    return len(shapes) / len(names), len(same) / len(names)


def _same_shape(own: Tensor, found: Tensor) -> bool:
    """Whether the shapes agree, except that a head for two classes may have any number of rows."""
    return own.shape == found.shape or (own.shape[:1] == (2,) and own.shape[1:] == found.shape[1:])


# Prefixes of names that belong to the training, not to the network.
_OF_TRAINING = ("criterion", "loss", "metric", "train_", "val_", "test_", "n_averaged", "ema_")
_COUNTER = "num_batches_tracked"
# Number of names in a message.
_SHOWN = 3


def load_foreign(
    network: Network, state: State, subject: str, architecture: str, class_names: Sequence[str]
) -> list[str]:
    """Load foreign weights into a network, in place. Heads of inner layers that the file lacks remain untrained.

    Args:
        network: of the architecture; its weights are replaced.
        state: the foreign tensors.
        subject: name of the file in messages.
        architecture: for messages.
        class_names: of the outputs, in their order.

    Returns:
        The choices that were made: the removed prefix, ignored tensors, a renamed or split head.

    Raises:
        InputError: names or shapes do not match, or weights are not finite.
    """
    fresh = network.state_dict()
    state, prefix = without_prefix(state, fresh)
    needed = {name: tensor for name, tensor in fresh.items() if name in state or not name.startswith("side_heads.")}
    reports = [f'prefix "{prefix}" removed'] if prefix else []
    reports += _rename_head(state, needed)
    reports += _split_single_output(state, needed, class_names)
    left = [name for name in state if name not in needed]
    ignored = [name for name in left if (prefix and not had_prefix(name)) or _is_of_training(name)]
    if ignored:
        reports.append(f"ignored: {_first([shown_name(name) for name in ignored])}")
    fitting = {original_name(name): tensor for name, tensor in state.items() if name not in ignored}
    fitting = {name: _widened(tensor, needed.get(name)) for name, tensor in fitting.items()}
    # Files from before PyTorch 0.4.1 lack the counters of batch normalisation, which do not affect predictions.
    counters = {name: tensor for name, tensor in needed.items() if name.endswith(_COUNTER)}
    fitting = counters | {n: t for n, t in fitting.items() if n not in counters or t.shape == counters[n].shape}
    _check_fit(fitting, needed, subject, architecture, len(class_names))
    check_finite(subject, {name: fitting[name] for name in needed}, "Ask who made the file for finite weights")
    load_weights(network, fresh | fitting)
    return reports


def _is_of_training(name: str) -> bool:
    first = shown_name(name).partition(".")[0].lower()
    return first.startswith(_OF_TRAINING) or first.endswith(("_acc", "_accuracy", "_loss", "_metric", "_metrics"))


def _rename_head(state: State, needed: Mapping[str, Tensor]) -> list[str]:
    """Rename a head with another name, such as `head.fc` or `fc.1` for `fc`, if it is the only candidate; in place."""
    missing = [name for name in needed if name not in state and not name.endswith(_COUNTER)]
    left = [name for name in state if name not in needed and not _is_of_training(name)]
    owners, others = ({name.rpartition(".")[0] for name in names} for names in (missing, left))
    if len(owners) != 1 or not missing:
        return []
    fitting = []
    for other in others:
        pairs = {f"{other}.{name.rpartition('.')[2]}": name for name in missing}
        ends = all(
            name in state and state[name].ndim == needed[own].ndim and state[name].shape[1:] == needed[own].shape[1:]
            for name, own in pairs.items()
        )
        if ends:
            fitting.append(pairs)
    if len(fitting) != 1:
        return []
    for name, own in fitting[0].items():
        state[own] = state.pop(name)
    return [f"{shown_name(name)} loaded as {shown_name(own)}" for name, own in fitting[0].items()]


def _split_single_output(state: State, needed: Mapping[str, Tensor], class_names: Sequence[str]) -> list[str]:
    """Split a single output z into two, in place: softmax of -z/2 and z/2 gives the probabilities of sigmoid(z)."""
    other = [name for name in needed if name in state and state[name].shape != needed[name].shape]
    single = [name for name in other if state[name].shape == (1, *needed[name].shape[1:]) and len(needed[name]) == 2]
    if not other or single != other or len({name.rpartition(".")[0] for name in other}) != 1:
        return []
    for name in single:
        state[name] = two_logits(state[name].float(), 0)
    negative, positive = class_names
    return [f"single output z (sigmoid) split into two, -z/2 for {negative} and z/2 for {positive}"]


def _widened(tensor: Tensor, like: Tensor | None) -> Tensor:
    # Half precision becomes float32. Mismatches of shape or dtype are left to `_check_fit`.
    if like is None or tensor.shape != like.shape or not (tensor.is_floating_point() and like.is_floating_point()):
        return tensor
    return tensor.detach().to(like.dtype)


def _check_fit(found: State, needed: Mapping[str, Tensor], subject: str, architecture: str, classes: int) -> None:
    """Check names, shapes and dtypes; the error names the differences, and the architecture that would match."""
    missing = [shown_name(name) for name in needed if name not in found]
    unexpected = [shown_name(name) for name in found if name not in needed]
    mismatched = {
        name: (tensor, found[name])
        for name, tensor in needed.items()
        if name in found and (found[name].shape != tensor.shape or found[name].dtype != tensor.dtype)
    }
    if not (missing or unexpected or mismatched):
        return
    if not missing and not unexpected:
        _check_outputs(mismatched, subject, classes)
        _check_channels(mismatched, subject)
    lists = {
        "missing": _first(missing),
        "unexpected": _first(unexpected),
        "shape or dtype": _first(
            [f"{shown_name(name)} is {_describe(is_)} instead of {_describe(expected)}"
             for name, (expected, is_) in mismatched.items()]
        ),
    }  # fmt: skip
    guess = guess_architecture({shown_name(name): tensor for name, tensor in found.items()}, architecture)
    raise InputError(
        subject,
        f"the weights of {architecture}",
        "; ".join(f"{kind}: {names}" for kind, names in lists.items() if names),
        f"The names and shapes are those of {guess}: set `architecture` to it"
        if guess
        else "Set the architecture and arguments that it was trained with",
    )


def _check_outputs(other: Mapping[str, tuple[Tensor, Tensor]], subject: str, classes: int) -> None:
    """Raise an error if only the number of outputs differs."""
    counts = {(len(expected), len(found)) for expected, found in other.values() if expected.ndim and found.ndim}
    same_behind = all(expected.shape[1:] == found.shape[1:] for expected, found in other.values())
    if len(counts) == 1 and same_behind:
        ((expected, outputs),) = counts
        if expected == classes:
            raise InputError(
                subject,
                f"{expected} outputs, one for each name in `classes`",
                f"{outputs} output{'s' if outputs > 1 else ''}",
                "List the classes of all outputs, in their order"
                if outputs > 1
                else "For a single output, list two classes: that of small values, then that of large values",
            )


def _check_channels(other: Mapping[str, tuple[Tensor, Tensor]], subject: str) -> None:
    """Raise an error if only the number of input channels differs."""
    if len(other) == 1:
        ((name, (expected, found)),) = other.items()
        if expected.ndim == found.ndim == 4 and expected.shape[1] == 3 != found.shape[1]:
            raise InputError(
                subject,
                "a network for RGB images, of 3 channels",
                f"one for {found.shape[1]} ({shown_name(name)})",
                f'For grey images, convert the weight w: state["{shown_name(name)}"] = w.repeat(1, 3, 1, 1) / 3, '
                "and save the new state dict",
            )


def _describe(tensor: Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} {tuple(tensor.shape)}"


def _first(names: Sequence[str]) -> str:
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
