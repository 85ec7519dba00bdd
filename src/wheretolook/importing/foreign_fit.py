"""Which known architecture a state dict belongs to, by the names and shapes of its tensors."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from wheretolook.base.errors import InputError
from wheretolook.networks.checkpoint import check_finite
from wheretolook.networks.layered import Network
from wheretolook.networks.looknet import LookNet

# So much of the tensors must fit for a guess.
_LEAST = 0.98
# A family is looked into if this much of the names fits one of its members.
_ALIKE = 0.3


def guess_architecture(state: Mapping[str, Tensor], asked: str = "") -> str:
    """The architecture whose tensors these are, as an entry of params.yaml names it; empty where none is near.

    The number of classes, which the head's shapes give, may be any.

    Args:
        state: the tensors, under the names of the bare network.
        asked: an architecture that they do not fit.
    """
    if looknet := _looknet(state):
        return looknet
    from torchvision import models

    from wheretolook.networks.torchvision_networks import known_architectures

    families: dict[str, list[str]] = {}
    for name in known_architectures():
        families.setdefault(re.match("[a-z]+", name)[0], []).append(name)
    best, most = "", _LEAST
    for names in families.values():
        for number, name in enumerate(names):
            with torch.device("meta"):
                try:
                    body = models.get_model(name, weights=None, num_classes=2)
                except NotImplementedError:  # a regnet, which the meta device can't build
                    break
            share, alike = _fit(state, body)
            if share > most and name != asked:
                best, most = name, share
            if number == 0 and alike < _ALIKE:
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
    fits = _fit({n: t for n, t in state.items() if not n.startswith("side_heads.")}, network)[0] > _LEAST
    return f"looknet with `arguments: width={first.shape[0]},depth={depth}`" if fits else ""


def _fit(state: Mapping[str, Tensor], body: nn.Module) -> tuple[float, float]:
    """The share of tensors that fit by name and shape, and by name alone, of all that either side has."""
    own = body.state_dict()
    counters = [name for name in own if name.endswith("num_batches_tracked")]
    names = {*own, *state} - set(counters)
    same = [name for name in names if name in own and name in state]
    shapes = [name for name in same if _alike(own[name], state[name])]
    return len(shapes) / len(names), len(same) / len(names)


def _alike(own: Tensor, found: Tensor) -> bool:
    # Of a head for two classes the rows may be more.
    return own.shape == found.shape or (own.shape[:1] == (2,) and own.shape[1:] == found.shape[1:])


State = dict[str, Tensor]
# First parts of names that belong to a training and not to a network.
_OF_TRAINING = ("criterion", "loss", "metric", "train_", "val_", "test_", "n_averaged", "ema_")
_COUNTER = "num_batches_tracked"
# So many names of a list are shown.
_SHOWN = 3


def load_foreign(
    network: Network, state: State, subject: str, architecture: str, class_names: Sequence[str]
) -> list[str]:
    """Put foreign weights into a network; what a foreign network never has (heads of inner layers) stays untrained.

    Args:
        network: of the architecture, with any weights; changed in place.
        state: the foreign tensors.
        subject: what a message calls the file.
        architecture: named in messages.
        class_names: of the outputs, in their order.

    Returns:
        What was decided: the prefix that was taken off, names that were left over, a head that was made of another.

    Raises:
        InputError: names or shapes that don't fit, with the first few of each; weights that are not finite.
    """
    fresh = network.state_dict()
    state, prefix = without_prefix(state, fresh)
    needed = {name: tensor for name, tensor in fresh.items() if name in state or not name.startswith("side_heads.")}
    reports = [f'prefix "{prefix}" taken off'] if prefix else []
    reports += _adopt_head(state, needed)
    reports += _split_single_output(state, needed, class_names)
    left = [name for name in state if name not in needed]
    passed = [name for name in left if (prefix and not _was_prefixed(name)) or _is_of_training(name)]
    if passed:
        reports.append(f"passed over: {_first([_shown(name) for name in passed])}")
    fitting = {_own(name): tensor for name, tensor in state.items() if name not in passed}
    fitting = {name: _widened(tensor, needed.get(name)) for name, tensor in fitting.items()}
    # Counters of batch normalisation came with PyTorch 0.4.1, and have no say in a prediction.
    counters = {name: tensor for name, tensor in needed.items() if name.endswith(_COUNTER)}
    fitting = counters | {n: t for n, t in fitting.items() if n not in counters or t.shape == counters[n].shape}
    _check_fit(fitting, needed, subject, architecture, len(class_names))
    check_finite(subject, {name: fitting[name] for name in needed}, "Ask who made the file for weights without them")
    network.load_state_dict(fresh | fitting)
    return reports


# A name that did not have the prefix of the others is kept under this mark: it can be no name of a network.
_APART = "\0"


def without_prefix(state: State, needed: Mapping[str, Tensor]) -> tuple[State, str]:
    """The tensors under the network's names, and the prefix that was taken off for it.

    The prefix is the one with which most tensors fit by name and shape. Names without it are kept, marked as such. A
    torchvision network is a part of ours, so `fc.weight` is looked for as `body.fc.weight`, too.
    """
    parts = sorted({"", *(name.partition(".")[0] + "." for name in needed)})
    prefixes = Counter(prefix for name in state for prefix in _prefixes(name))
    best, most = ("", ""), -1
    for prefix in ["", *sorted(prefixes, key=lambda prefix: (-prefixes[prefix], len(prefix)))[:50]]:
        for part in parts:
            fits = sum(
                (own := part + name.removeprefix(prefix)) in needed and needed[own].shape == tensor.shape
                for name, tensor in state.items()
                if name.startswith(prefix)
            )
            if fits > most:
                best, most = (prefix, part), fits
    prefix, part = best
    if not most:
        # Nothing fits, whatever is taken off: name the wrapper that is before every name, for a message to read well.
        prefix = max((p for p in prefixes if prefixes[p] == len(state)), key=len, default="")
    named = {part + name.removeprefix(prefix): tensor for name, tensor in state.items() if name.startswith(prefix)}
    apart = {_APART + name: tensor for name, tensor in state.items() if not name.startswith(prefix)}
    return named | apart, prefix


def _prefixes(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[:count]) + "." for count in range(1, min(len(parts), 6))]


def _was_prefixed(name: str) -> bool:
    return not name.startswith(_APART)


def _own(name: str) -> str:
    return name.removeprefix(_APART)


def _shown(name: str) -> str:
    return _own(name).removeprefix("body.")


def _is_of_training(name: str) -> bool:
    first = _shown(name).partition(".")[0].lower()
    return first.startswith(_OF_TRAINING) or first.endswith(("_acc", "_accuracy", "_loss", "_metric", "_metrics"))


def _adopt_head(state: State, needed: Mapping[str, Tensor]) -> list[str]:
    """Take a head under another name, as `head.fc` or `fc.1` for `fc`, where nothing else can be meant; in place."""
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
    return [f"{_shown(name)} taken as {_shown(own)}" for name, own in fitting[0].items()]


def _split_single_output(state: State, needed: Mapping[str, Tensor], class_names: Sequence[str]) -> list[str]:
    """Make two outputs of one, in place: of a logit z, -z/2 and z/2 have the same probabilities as its sigmoid."""
    other = [name for name in needed if name in state and state[name].shape != needed[name].shape]
    single = [name for name in other if state[name].shape == (1, *needed[name].shape[1:]) and len(needed[name]) == 2]
    if not other or single != other or len({name.rpartition(".")[0] for name in other}) != 1:
        return []
    for name in single:
        state[name] = torch.cat([-state[name].float() / 2, state[name].float() / 2])
    negative, positive = class_names
    return [f"one output z (a sigmoid's) made into two, -z/2 for {negative} and z/2 for {positive}"]


def _widened(tensor: Tensor, like: Tensor | None) -> Tensor:
    # Half precision is widened; of another shape, or a number in place of a counter, it is left for the check to tell.
    if like is None or tensor.shape != like.shape or not (tensor.is_floating_point() and like.is_floating_point()):
        return tensor
    return tensor.detach().to(like.dtype)


def _check_fit(found: State, needed: Mapping[str, Tensor], subject: str, architecture: str, classes: int) -> None:
    """Refuse a state dict that differs from what is needed, and say in what, with the architecture that would fit."""
    missing = [_shown(name) for name in needed if name not in found]
    unexpected = [_shown(name) for name in found if name not in needed]
    other = {
        name: (tensor, found[name])
        for name, tensor in needed.items()
        if name in found and (found[name].shape != tensor.shape or found[name].dtype != tensor.dtype)
    }
    if not (missing or unexpected or other):
        return
    if not missing and not unexpected:
        _check_outputs(other, subject, classes)
        _check_channels(other, subject)
    lists = {
        "missing": _first(missing),
        "unexpected": _first(unexpected),
        "of another shape or type": _first(
            [f"{_shown(name)} is {_describe(is_)} instead of {_describe(expected)}"
             for name, (expected, is_) in other.items()]
        ),
    }  # fmt: skip
    guess = guess_architecture({_shown(name): tensor for name, tensor in found.items()}, architecture)
    raise InputError(
        subject,
        f"the weights of {architecture}",
        "; ".join(f"{word}: {names}" for word, names in lists.items() if names),
        f"Its names and shapes are those of {guess}: set `architecture` so"
        if guess
        else "Give the architecture and arguments that it was trained with",
    )


def _check_outputs(other: Mapping[str, tuple[Tensor, Tensor]], subject: str, classes: int) -> None:
    """Refuse a network that differs by the number of its outputs alone."""
    counts = {(len(expected), len(found)) for expected, found in other.values() if expected.ndim and found.ndim}
    same_behind = all(expected.shape[1:] == found.shape[1:] for expected, found in other.values())
    if len(counts) == 1 and same_behind:
        ((expected, outputs),) = counts
        if expected == classes:
            raise InputError(
                subject,
                f"a network of {expected} outputs, as `classes` names {expected}",
                f"one of {outputs}",
                "Name the classes of all its outputs, in their order"
                if outputs > 1
                else "Of one output, name two classes: the one of small values, then the one of large values",
            )


def _check_channels(other: Mapping[str, tuple[Tensor, Tensor]], subject: str) -> None:
    """Refuse a network for images of another number of channels."""
    if len(other) == 1:
        ((name, (expected, found)),) = other.items()
        if expected.ndim == found.ndim == 4 and expected.shape[1] == 3 != found.shape[1]:
            raise InputError(
                subject,
                "a network for RGB images, of 3 channels",
                f"one for {found.shape[1]} ({_shown(name)})",
                f'For grey images, spread it: state["{_shown(name)}"] = w.repeat(1, 3, 1, 1) / 3, with w the old one, '
                "and save that",
            )


def _describe(tensor: Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} {tuple(tensor.shape)}"


def _first(names: Sequence[str]) -> str:
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
