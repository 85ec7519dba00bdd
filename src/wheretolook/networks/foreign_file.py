"""Loading a foreign weights file without executing code from it. Only for the quarantine process."""

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

from wheretolook.base.errors import InputError
from wheretolook.networks.weights_file import PYTORCH, check_weights_file, is_weights_file

# Earlier versions could be made to run code in spite of weights_only: CVE-2025-32434, CVE-2026-24747.
SAFE_TORCH = (2, 10)
SAVE_ALONE = "torch.save(model.state_dict(), 'weights.pt')"
# Modules and builtins that no checkpoint needs, but malicious pickles do. A file that names one is refused, although
# the restricted unpickler would not run it.
_HARMFUL_MODULES = {
    "_pickle", "_posixsubprocess", "asyncio", "code", "commands", "ctypes", "importlib", "multiprocessing", "nt",
    "operator", "os", "pdb", "pickle", "posix", "pty", "runpy", "shutil", "socket", "subprocess", "sys", "timeit",
    "urllib", "webbrowser",
}  # fmt: skip
_HARMFUL_BUILTINS = {
    "__import__", "apply", "breakpoint", "compile", "delattr", "eval", "exec", "execfile", "globals", "input", "locals",
    "open", "setattr", "vars",
}  # fmt: skip
# Limit on the number of classes that are replaced by placeholders.
_MOST_PLACEHOLDERS = 100


def read_foreign(path: Path, subject: str) -> Any:
    """Contents of a .pt, .pth or safetensors file: tensors, numbers and text in nested containers.

    Objects of other classes, such as `argparse.Namespace` or NumPy scalars, become empty placeholders (`Placeholder`).

    Args:
        path: the file.
        subject: its name in messages.

    Raises:
        InputError: a damaged file, another format, or a pickle that names a harmful function.
    """
    if is_weights_file(path):
        try:
            check_weights_file(path)
            return load_file(path)
        except InputError as error:
            raise InputError(subject, error.expected, error.found, error.hint) from error
        except SafetensorError as error:
            raise InputError(subject, "a safetensors file", f"a damaged file ({error})", "Download it again") from error
    with path.open("rb") as file:
        if not file.read(4).startswith(PYTORCH):
            raise InputError(
                subject, "a .pt, .pth or safetensors file", "another format", "Check that the link is that of the file"
            )
    if tuple(int(part) for part in torch.__version__.split(".")[:2]) < SAFE_TORCH:
        least = ".".join(map(str, SAFE_TORCH))
        raise InputError(subject, f"torch {least} or later to load a .pt file", torch.__version__, "Update torch")
    return _unpickled(path, subject)


class Placeholder:
    """Replaces objects of a class that is not loaded; empty and without behaviour.

    Attributes:
        kind: name of the class, from the file.
    """

    kind = ""

    def __new__(cls, *_: object, **__: object) -> Any:
        """An empty object; all arguments are ignored."""
        return object.__new__(cls)

    def __init__(self, *_: object, **__: object) -> None:
        pass

    def __setstate__(self, state: object) -> None:
        pass


class _DictPlaceholder(Placeholder):
    def __new__(cls, *_: object, **__: object) -> Any:
        return OrderedDict()


class _ListPlaceholder(Placeholder):
    def __new__(cls, *_: object, **__: object) -> Any:
        return []


def _unpickled(path: Path, subject: str) -> Any:
    """The contents, from PyTorch's restricted unpickler, with a placeholder for each class that it does not know."""
    placeholders: dict[str, type[Placeholder]] = {}
    while len(placeholders) <= _MOST_PLACEHOLDERS:
        try:
            with warnings.catch_warnings(), torch.serialization.safe_globals([(s, n) for n, s in placeholders.items()]):
                warnings.simplefilter("ignore")  # PyTorch warns of a TorchScript archive, and then raises an error
                return torch.load(path, map_location="cpu", weights_only=True)
        except pickle.UnpicklingError as error:
            if not _add_placeholder(placeholders, str(error)):
                raise _not_loadable(path, subject, error) from error
        except (RuntimeError, EOFError, ValueError, AssertionError, KeyError, IndexError, TypeError) as error:
            if "alloc" in str(error):
                raise  # out of memory: the parent process reports it
            if "TorchScript" in str(error):
                raise InputError(
                    subject,
                    "a state dict",
                    "a TorchScript archive, which contains code",
                    f"Save its weights: torch.save(torch.jit.load('FILE').state_dict(), 'weights.pt'), or {SAVE_ALONE} "
                    "in the project that made the model",
                ) from error
            message = (str(error) or "unexpected end").splitlines()[0][:200]
            raise InputError(
                subject, "a .pt file", f"a damaged file ({type(error).__name__}: {message})", "Download it again"
            ) from error
    raise InputError(
        subject, "weights", f"objects of more than {_MOST_PLACEHOLDERS} classes", f"Save them: {SAVE_ALONE}"
    )


def _add_placeholder(placeholders: dict[str, type[Placeholder]], message: str) -> bool:
    """Add a placeholder for the class that the unpickler's error names; returns whether one was added."""
    unknown = re.search(r"Unsupported global: GLOBAL (\S+) was not", message)
    if unknown and not is_harmful(unknown[1]):
        # PyTorch omits "builtins." in its message, but needs it in the name.
        name = unknown[1] if "." in unknown[1] else f"builtins.{unknown[1]}"
        if name not in placeholders:
            placeholders[name] = type("Placeholder", (Placeholder,), {"kind": name, "__module__": f"file:{name}"})
            return True
    # Whether the class is a dict or a list shows only when the unpickler adds an item to an object of it.
    filled = re.search(r"Can only (SETITEM|append|extend).*got <class 'file:([\w.]+)\.Placeholder'>", message)
    if filled and placeholders.get(filled[2]) is not None:
        base = _DictPlaceholder if filled[1] == "SETITEM" else _ListPlaceholder
        if not issubclass(placeholders[filled[2]], base):
            placeholders[filled[2]] = type(
                "Placeholder", (base,), {"kind": filled[2], "__module__": f"file:{filled[2]}"}
            )
            return True
    return False


def is_harmful(name: str) -> bool:
    """Whether a global that a pickle names can run code, such as `posix.system` or `eval`."""
    module, _, attribute = name.rpartition(".")
    return module.split(".")[0] in _HARMFUL_MODULES or (module in ("", "builtins") and attribute in _HARMFUL_BUILTINS)


def _not_loadable(path: Path, subject: str, error: pickle.UnpicklingError) -> InputError:
    names = globals_in_pickle(path)
    harmful = next((name for name in names if is_harmful(name)), None)
    if harmful:
        return InputError(
            subject,
            "only weights",
            f"a pickle that would run code when loaded ({harmful.removeprefix('builtins.')})",
            "Nothing was run. Do not load this file; ask who made it",
        )
    if "Unsupported operand" in str(error) and names:
        return InputError(
            subject,
            "a file written by torch.save",
            f"another pickle, with objects of {', '.join(names[:3])}",
            f"Load it in the project that made it, and save the weights: {SAVE_ALONE}",
        )
    match = re.search(r"WeightsUnpickler error: (.{1,200})", str(error))
    message = match[1].strip() if match else type(error).__name__
    return InputError(
        subject, "only weights", f"an unsupported or damaged pickle ({message})", f"Save the weights: {SAVE_ALONE}"
    )


def globals_in_pickle(path: Path) -> list[str]:
    """Classes and functions that a pickle names, in order, up to the first damage; none is imported or called."""
    found: list[str] = []
    texts: list[str] = []
    try:
        stream = io.BytesIO(_pickle_of(path))
        while True:  # the legacy format of torch.save is a sequence of pickles
            for operation, argument, _ in pickletools.genops(stream):
                if operation.name in ("GLOBAL", "INST"):
                    found.append(str(argument).replace(" ", "."))
                elif operation.name == "STACK_GLOBAL" and len(texts) > 1:
                    found.append(f"{texts[-2]}.{texts[-1]}")
                elif isinstance(argument, str):
                    texts.append(argument)
    except (ValueError, LookupError, zipfile.BadZipFile, EOFError):
        pass  # end of the file, or damage
    # Protocol 2 uses the module names of Python 2.
    return list(dict.fromkeys(name.replace("__builtin__.", "builtins.") for name in found))


def _pickle_of(path: Path) -> bytes:
    if not zipfile.is_zipfile(path):
        return path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        return b"".join(archive.read(name) for name in archive.namelist() if name.endswith("data.pkl"))
