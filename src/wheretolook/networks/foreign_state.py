"""Finding the state dict in a foreign checkpoint, and the names that its tensors have in a network."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from wheretolook.base.errors import InputError
from wheretolook.networks.foreign_file import SAVE_ALONE, Placeholder

# Keys under which training scripts save weights, the most common first, and averages of weights last.
HOLDERS = (
    "state_dict", "model_state_dict", "net_state_dict", "network_state_dict", "model_state", "net_state", "weights",
    "model", "net", "network", "module", "params", "model_weights", "classifier",
    "state_dict_ema", "model_state_dict_ema", "ema_state_dict", "model_ema", "ema_model", "params_ema", "ema",
)  # fmt: skip
# Prefixes of keys of optimizers, schedulers and the like, whose tensors are not weights of the network.
_TRAINING_STATE = ("optim", "sched", "scaler", "lr_", "criterion", "loss", "loops", "callbacks", "rng")
_DEEPEST = 3


@dataclass(frozen=True)
class Found:
    """A state dict in a checkpoint.

    Attributes:
        key: the keys that lead to it, joined by dots; empty if it is the whole file.
        tensors: names and dense real tensors.
    """

    key: str
    tensors: dict[str, Tensor]


def find_state(loaded: Any, subject: str, key: str = "") -> tuple[Found, list[str]]:
    """The state dict in a checkpoint, and a line about the choice for each decision.

    Args:
        loaded: contents of the file.
        subject: its name in messages.
        key: keys of the state dict, joined by dots; empty to look under the usual keys.

    Raises:
        InputError: no state dict, none under `key`, or several and none under a usual key.
    """
    candidates = list(_state_dicts(loaded, ""))
    keys = [found.key for found in candidates]
    if key:
        if key not in keys:
            found = f"state dicts under {', '.join(name or '(the whole file)' for name in keys)}" if keys else "none"
            raise InputError(subject, f'a state dict under `key: "{key}"`', found, "Set `key` to one of them")
        return candidates[keys.index(key)], []
    if not candidates:
        raise _no_state(loaded, subject)
    best = min(candidates, key=lambda found: _rank(found.key))
    others = [name for name in keys if name != best.key]
    if not others:
        return best, [f'weights under "{best.key}"'] if best.key else []
    if _rank(best.key)[0] == len(HOLDERS) and best.key:
        raise InputError(
            subject, "one state dict", f"several, under {', '.join(keys)}", f"Choose one, such as `key: {keys[0]}`"
        )
    where = f'under "{best.key}"' if best.key else "of the whole file"
    return best, [f"weights {where}, not under {', '.join(others)} (set `key` to choose)"]


def _rank(key: str) -> tuple[int, int]:
    """Rank of a key, the lowest is best: by the rank in HOLDERS of its parts, then by its depth."""
    if not key:
        return -1, 0
    usual = [HOLDERS.index(part) for part in key.split(".") if part in HOLDERS]
    # The maximum: an average of weights ranks last, also when nested under another key.
    return max(usual) if usual else len(HOLDERS), key.count(".")


def _state_dicts(value: Any, key: str) -> Iterator[Found]:
    """Every state dict in nested mappings and lists, outermost first, without those inside another one."""
    inside: dict[str, Any] = {}
    if isinstance(value, Mapping):
        tensors = {name: item for name, item in value.items() if is_plain(name, item)}
        inside = {name: item for name, item in value.items() if isinstance(name, str)}
        holds_another = any(_is_nested(value.get(holder)) for holder in HOLDERS)
        if tensors and not holds_another and 2 * len(tensors) >= len(value):
            yield Found(key, tensors)
            return
    elif isinstance(value, list | tuple):
        inside = {str(place): item for place, item in enumerate(value)}
    if key.count(".") < _DEEPEST - 1:
        for name, item in inside.items():
            if _is_nested(item) and not name.lower().startswith(_TRAINING_STATE):
                yield from _state_dicts(item, f"{key}.{name}" if key else name)


def _is_nested(value: Any) -> bool:
    return isinstance(value, Mapping | list | tuple) and len(value) > 0


def is_plain(name: Any, value: Any) -> bool:
    """Whether a name is a string, and its value a dense tensor of real numbers that is not quantised."""
    plain = isinstance(value, Tensor) and value.layout == torch.strided and not value.is_quantized
    return isinstance(name, str) and plain and not value.is_complex()


def _no_state(loaded: Any, subject: str) -> InputError:
    objects = {"": loaded} | (dict(loaded) if isinstance(loaded, Mapping) else {})
    pickled = {key: value.kind for key, value in objects.items() if isinstance(value, Placeholder)}
    if pickled:
        key, kind = next(iter(pickled.items()))
        where = f' under "{key}"' if key else ""
        return InputError(
            subject,
            "a state dict",
            f"a pickled object of class {kind}{where}, which cannot be loaded without its code",
            f"In the project with that code, save only the weights: {SAVE_ALONE}",
        )
    inside = ", ".join(map(repr, list(loaded)[:6])) if isinstance(loaded, Mapping) else type(loaded).__name__
    return InputError(
        subject,
        f"a state dict (names to tensors), as the whole file or under {', '.join(HOLDERS[:3])}...",
        inside or "an empty mapping",
        f"Save one: {SAVE_ALONE}",
    )


State = dict[str, Tensor]
# Marks names without the prefix of the others; no tensor name contains it.
_UNPREFIXED = "\0"


def without_prefix(state: State, needed: Mapping[str, Tensor]) -> tuple[State, str]:
    """The tensors under the network's names, and the prefix that was removed.

    The prefix is the one for which most tensors match by name and shape. Names without it are kept, marked by
    `_UNPREFIXED`. A wrapped network is the submodule `body`, so `fc.weight` also matches `body.fc.weight`.
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
        # No prefix matches any tensor: remove the common prefix of all names, for a readable message.
        prefix = max((p for p in prefixes if prefixes[p] == len(state)), key=len, default="")
    named = {part + name.removeprefix(prefix): tensor for name, tensor in state.items() if name.startswith(prefix)}
    others = {_UNPREFIXED + name: tensor for name, tensor in state.items() if not name.startswith(prefix)}
    return named | others, prefix


def _prefixes(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[:count]) + "." for count in range(1, min(len(parts), 6))]


def had_prefix(name: str) -> bool:
    """Whether the name in the file had the prefix that `without_prefix` removed."""
    return not name.startswith(_UNPREFIXED)


def original_name(name: str) -> str:
    """A name as in the file, without the mark of `without_prefix`."""
    return name.removeprefix(_UNPREFIXED)


def shown_name(name: str) -> str:
    """A name for messages: of the bare network."""
    return original_name(name).removeprefix("body.")
