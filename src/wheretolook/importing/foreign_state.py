"""Open a file of weights from elsewhere without running what is in it. In the quarantine's own process only."""

import io
import pickle
import pickletools
import re
import warnings
import zipfile
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from wheretolook.base.errors import InputError
from wheretolook.importing.foreign_fit import load_foreign
from wheretolook.networks.architectures import code_of
from wheretolook.networks.build_network import build_network
from wheretolook.networks.card import Card
from wheretolook.networks.checkpoint import save_model
from wheretolook.networks.layered import Network
from wheretolook.networks.module_network import ModuleNetwork
from wheretolook.networks.weights_file import PYTORCH, check_weights_file, is_weights_file

# Before it, loading with weights_only could be made to run code: CVE-2025-32434, CVE-2026-24747.
SAFE_TORCH = (2, 10)
SAVE_ALONE = "torch.save(model.state_dict(), 'weights.pt')"
# What no checkpoint needs, and a pickle that does harm does: the file is refused, though nothing of it would run.
_HARMFUL_MODULES = {
    "_pickle", "_posixsubprocess", "asyncio", "code", "commands", "ctypes", "importlib", "multiprocessing", "nt",
    "operator", "os", "pdb", "pickle", "posix", "pty", "runpy", "shutil", "socket", "subprocess", "sys", "timeit",
    "urllib", "webbrowser",
}  # fmt: skip
_HARMFUL_BUILTINS = {
    "__import__", "apply", "breakpoint", "compile", "delattr", "eval", "exec", "execfile", "globals", "input", "locals",
    "open", "setattr", "vars",
}  # fmt: skip
# So many kinds of objects beside the weights are passed over.
_MOST_STAND_INS = 100


def read_foreign(path: Path, subject: str) -> Any:
    """What a .pt, .pth or safetensors file holds: tensors, numbers and text, and what contains them.

    Objects of any other class, as an `argparse.Namespace` or a numpy scalar, become empty stand-ins: see `StandIn`.

    Args:
        path: the file.
        subject: what a message calls it.

    Raises:
        InputError: a damaged file, one of another kind, or one that asks for a function that does harm.
    """
    if is_weights_file(path):
        check_weights_file(path)
        try:
            return load_file(path)
        except SafetensorError as error:
            raise InputError(subject, "a safetensors file", f"a damaged one ({error})", "Fetch it again") from error
    with path.open("rb") as file:
        if not file.read(4).startswith(PYTORCH):
            raise InputError(
                subject, "a .pt, .pth or safetensors file", "another format", "Check the link: is it the file's own?"
            )
    if tuple(int(part) for part in torch.__version__.split(".")[:2]) < SAFE_TORCH:
        least = ".".join(map(str, SAFE_TORCH))
        raise InputError(subject, f"torch {least} or later to open a .pt file", torch.__version__, "Update torch")
    return _unpickled(path, subject)


class StandIn:
    """In place of an object of a class that is not loaded: it holds nothing and does nothing.

    Attributes:
        kind: name of the class, as the file gives it.
    """

    kind = ""

    def __new__(cls, *_: object, **__: object) -> Any:
        """An empty object, whatever it is made of."""
        return object.__new__(cls)

    def __init__(self, *_: object, **__: object) -> None:
        pass

    def __setstate__(self, state: object) -> None:
        pass


class _DictStandIn(StandIn):
    def __new__(cls, *_: object, **__: object) -> Any:
        return OrderedDict()


class _ListStandIn(StandIn):
    def __new__(cls, *_: object, **__: object) -> Any:
        return []


def _unpickled(path: Path, subject: str) -> Any:
    """The contents, by PyTorch's restricted unpickler, with a stand-in for each class that it does not know."""
    stand_ins: dict[str, type[StandIn]] = {}
    while len(stand_ins) <= _MOST_STAND_INS:
        try:
            with warnings.catch_warnings(), torch.serialization.safe_globals([(s, n) for n, s in stand_ins.items()]):
                warnings.simplefilter("ignore")  # what PyTorch says of a TorchScript archive is in the error
                return torch.load(path, map_location="cpu", weights_only=True)
        except pickle.UnpicklingError as error:
            if not _add_stand_in(stand_ins, str(error)):
                raise _not_loadable(path, subject, error) from error
        except (RuntimeError, EOFError, ValueError, AssertionError, KeyError, IndexError, TypeError) as error:
            if "alloc" in str(error):
                raise  # beyond its memory: the quarantine tells that
            if "TorchScript" in str(error):
                raise InputError(
                    subject,
                    "a state dict",
                    "a TorchScript archive, which is a program",
                    f"Save its weights: torch.save(torch.jit.load('FILE').state_dict(), 'weights.pt'), or {SAVE_ALONE} "
                    "where the model was made",
                ) from error
            said = (str(error) or "it ends too early").splitlines()[0][:200]
            raise InputError(
                subject, "a whole .pt file", f"a damaged one ({type(error).__name__}: {said})", "Fetch it again"
            ) from error
    raise InputError(subject, "weights", f"objects of more than {_MOST_STAND_INS} classes", f"Save them: {SAVE_ALONE}")


def _add_stand_in(stand_ins: dict[str, type[StandIn]], said: str) -> bool:
    """Have a stand-in for what the unpickler lacked; whether there was something to add."""
    asked = re.search(r"Unsupported global: GLOBAL (\S+) was not", said)
    if asked and not is_harmful(asked[1]):
        # PyTorch leaves "builtins." out of its message, and not out of its look-up.
        name = asked[1] if "." in asked[1] else f"builtins.{asked[1]}"
        if name not in stand_ins:
            stand_ins[name] = type("StandIn", (StandIn,), {"kind": name, "__module__": f"file:{name}"})
            return True
    # Only now does the file show that an object of this class is filled as a dict, or as a list.
    filled = re.search(r"Can only (SETITEM|append|extend).*got <class 'file:([\w.]+)\.StandIn'>", said)
    if filled and stand_ins.get(filled[2]) is not None:
        base = _DictStandIn if filled[1] == "SETITEM" else _ListStandIn
        if not issubclass(stand_ins[filled[2]], base):
            stand_ins[filled[2]] = type("StandIn", (base,), {"kind": filled[2], "__module__": f"file:{filled[2]}"})
            return True
    return False


def is_harmful(name: str) -> bool:
    """Whether a name that a pickle asks for is of no use but to run code, as `posix.system` or `eval`."""
    module, _, attribute = name.rpartition(".")
    return module.split(".")[0] in _HARMFUL_MODULES or (module in ("", "builtins") and attribute in _HARMFUL_BUILTINS)


def _not_loadable(path: Path, subject: str, error: pickle.UnpicklingError) -> InputError:
    asked = names_asked_for(path)
    harmful = next((name for name in asked if is_harmful(name)), None)
    if harmful:
        return InputError(
            subject,
            "weights alone",
            f"a pickle that would run code when loaded (it asks for {harmful.removeprefix('builtins.')})",
            "Nothing was run. Do not load this file; ask who made it",
        )
    if "Unsupported operand" in str(error) and asked:
        return InputError(
            subject,
            "a file written by torch.save",
            f"a pickle written in another way, with objects of {', '.join(asked[:3])}",
            f"Load it where it was made, and save the weights: {SAVE_ALONE}",
        )
    said = re.search(r"WeightsUnpickler error: (.{1,200})", str(error))
    said = said[1].strip() if said else type(error).__name__
    return InputError(
        subject, "weights alone", f"a pickle of another kind, or a damaged one ({said})", f"Save them: {SAVE_ALONE}"
    )


def names_asked_for(path: Path) -> list[str]:
    """The classes and functions that a pickle names, in order, without running any; as far as it can be read."""
    found: list[str] = []
    texts: list[str] = []
    try:
        stream = io.BytesIO(_pickle_of(path))
        while True:  # the older format of torch.save is several pickles, one after the other
            for operation, argument, _ in pickletools.genops(stream):
                if operation.name in ("GLOBAL", "INST"):
                    found.append(str(argument).replace(" ", "."))
                elif operation.name == "STACK_GLOBAL" and len(texts) > 1:
                    found.append(f"{texts[-2]}.{texts[-1]}")
                elif isinstance(argument, str):
                    texts.append(argument)
    except (ValueError, LookupError, zipfile.BadZipFile, EOFError):
        pass  # the end, or damage: what was found so far counts
    # Protocol 2 writes the names of Python 2.
    return list(dict.fromkeys(name.replace("__builtin__.", "builtins.") for name in found))


def _pickle_of(path: Path) -> bytes:
    if not zipfile.is_zipfile(path):
        return path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        return b"".join(archive.read(name) for name in archive.namelist() if name.endswith("data.pkl"))


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
    inner = network.copy_layer_heads() if isinstance(network, ModuleNetwork) else ()
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
