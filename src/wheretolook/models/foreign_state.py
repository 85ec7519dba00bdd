"""Find the state dict in a foreign checkpoint. Runs in the quarantine's own process only."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from wheretolook.errors import InputError
from wheretolook.models.architectures import code_of
from wheretolook.models.card import Card
from wheretolook.models.checkpoint import save_model
from wheretolook.models.foreign_file import SAVE_ALONE, StandIn, read_foreign
from wheretolook.models.foreign_fit import load_foreign
from wheretolook.models.layered import Network
from wheretolook.models.module_network import ModuleNetwork
from wheretolook.models.network import build_network

# Under these keys training scripts keep the weights, the usual one first; behind them averages of weights over steps.
HOLDERS = (
    "state_dict", "model_state_dict", "net_state_dict", "network_state_dict", "model_state", "net_state", "weights",
    "model", "net", "network", "module", "params", "model_weights", "classifier",
    "state_dict_ema", "model_state_dict_ema", "ema_state_dict", "model_ema", "ema_model", "params_ema", "ema",
)  # fmt: skip
# Of an optimizer or a schedule, whose tensors are no weights of the network.
_TRAINING_STATE = ("optim", "sched", "scaler", "lr_", "criterion", "loss", "loops", "callbacks", "rng")
_DEEPEST = 3


@dataclass(frozen=True)
class Found:
    """A state dict in a checkpoint.

    Attributes:
        key: the keys that lead to it, with dots between them; empty where it is the whole file.
        tensors: names to plain tensors.
    """

    key: str
    tensors: dict[str, Tensor]


def convert_state(path: Path, subject: str, target: Path, description: Mapping[str, Any]) -> list[str]:
    """Write a foreign file as a model file.

    Args:
        path: the foreign file.
        subject: what a message calls it.
        target: the model file.
        description: fields of `foreign.Description`.

    Returns:
        The decisions that were made: which state dict was taken, which prefix was taken off, what was left over.

    Raises:
        InputError: it would run code, holds no state dict, or one that doesn't fit.
    """
    found, reports = find_state(read_foreign(path, subject), subject, description["key"])
    network = build_network(description["architecture"], len(description["class_names"]), description["arguments"])
    reports += load_foreign(network, found.tensors, subject, description["architecture"], description["class_names"])
    inner = network.adopt_heads() if isinstance(network, ModuleNetwork) else ()
    save_model(target, network, _card(network, description, inner))
    return reports


def find_state(loaded: Any, subject: str, key: str = "") -> tuple[Found, list[str]]:
    """The state dict itself, which a checkpoint may hold under a key, and what to say of the choice.

    Args:
        loaded: what the file holds.
        subject: what a message calls it.
        key: where to look, with dots between keys; empty: under the usual ones.

    Raises:
        InputError: no mapping of names to plain tensors, nothing under `key`, or several without a usual key.
    """
    candidates = list(_state_dicts(loaded, ""))
    keys = [found.key for found in candidates]
    if key:
        if key not in keys:
            there = ", ".join(name or "(the whole file)" for name in keys) or "none"
            raise InputError(subject, f'a state dict under `key: "{key}"`', f"state dicts under {there}", "Name one")
        return candidates[keys.index(key)], []
    if not candidates:
        raise _no_state(loaded, subject)
    best = min(candidates, key=lambda found: _rank(found.key))
    others = [name for name in keys if name != best.key]
    if not others:
        return best, [f'weights under "{best.key}"'] if best.key else []
    if _rank(best.key)[0] == len(HOLDERS) and best.key:
        raise InputError(
            subject, "one state dict", f"several, under {', '.join(keys)}", f"Choose by key, like `key: {keys[0]}`"
        )
    where = f'under "{best.key}"' if best.key else "of the whole file"
    return best, [f"weights {where}, not under {', '.join(others)} (`key:` decides)"]


def _rank(key: str) -> tuple[int, int]:
    """How usual a key is: its last part that is one of HOLDERS, and its depth."""
    if not key:
        return -1, 0
    usual = [HOLDERS.index(part) for part in key.split(".") if part in HOLDERS]
    # An average of weights stays one, whatever it is nested in.
    return max(usual) if usual else len(HOLDERS), key.count(".")


def _state_dicts(value: Any, key: str) -> Iterator[Found]:
    """Every state dict in nested mappings and lists, the outermost first; what is inside one is not looked at."""
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
    """Whether a name is text, and its value a tensor of plain real numbers."""
    plain = isinstance(value, Tensor) and value.layout == torch.strided and not value.is_quantized
    return isinstance(name, str) and plain and not value.is_complex()


def _no_state(loaded: Any, subject: str) -> InputError:
    objects = {"": loaded} | (dict(loaded) if isinstance(loaded, Mapping) else {})
    pickled = {key: value.kind for key, value in objects.items() if isinstance(value, StandIn)}
    if pickled:
        key, kind = next(iter(pickled.items()))
        where = f' under "{key}"' if key else ""
        return InputError(
            subject,
            "a state dict",
            f"a pickled object of the class {kind}{where}, which takes its own code to load",
            f"Where that code is, save the weights alone: {SAVE_ALONE}",
        )
    inside = ", ".join(map(repr, list(loaded)[:6])) if isinstance(loaded, Mapping) else type(loaded).__name__
    return InputError(
        subject,
        f"a state dict (names to tensors), alone or under {', '.join(HOLDERS[:3])}...",
        inside or "an empty mapping",
        f"Save one: {SAVE_ALONE}",
    )


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
