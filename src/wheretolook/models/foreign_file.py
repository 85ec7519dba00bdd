"""Open a file of weights from elsewhere without running what is in it. In the quarantine's own process only."""

import io
import pickle
import pickletools
import re
import warnings
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from wheretolook.errors import InputError
from wheretolook.models.weights_file import PYTORCH, check_weights_file, is_weights_file

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
