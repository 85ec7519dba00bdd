"""Parsing of `architecture`: looknet and its arguments, a network of a library, or a class in a user's file.

Without PyTorch, for checks before any training.
"""

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wheretolook.base.errors import InputError
from wheretolook.base.files import sha256_of
from wheretolook.networks.card import Card

LOOKNET = "looknet"
# The networks of this library: module and class of each. They are built from a number of classes, `width` and `depth`.
OWN_NETWORKS = {LOOKNET: ("wheretolook.networks.layered", "LookNet")}


def check_own_arguments(architecture: str, arguments: Mapping[str, Any]) -> None:
    """Check that the arguments of a network of this library are a width and a depth.

    Raises:
        InputError: one is missing or not a positive integer, or there is another argument.
    """
    if set(arguments) != {"width", "depth"} or not all(type(n) is int and n >= 1 for n in arguments.values()):
        raise InputError(
            architecture,
            expected="positive integers width and depth, as in `arguments: width=16,depth=4`",
            found=dict(arguments),
        )


def check_looknet_size(depth: int, size: int) -> None:
    """Check that images of `size` pixels can be halved `depth` times.

    Raises:
        InputError: the images are too small.
    """
    if size < 2**depth:
        raise InputError(
            f"looknet of depth {depth}",
            expected=f"images of at least {2**depth} pixels (each block halves the resolution)",
            found=f"{size} pixels",
            hint="lower train.depth, or raise prepare.size",
        )


PACKAGE = Path(__file__).parents[1]
# Folders that may contain packages of the user, relative to the repository's root.
_ROOTS = ("", "src")
_HF_NAME = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*(@[\w-][\w.-]*)?")


@dataclass(frozen=True)
class Architecture:
    """Where a network comes from.

    Attributes:
        kind: "own" (a network of this library), "torchvision", "timm", "hf" (transformers) or "code".
        name: of the network in its library; for code, of the class or function; for hf, "ORGANISATION/NAME" on Hugging
            Face, with "@REVISION" if one is given, or a folder.
        file: for code, its file, and for a folder of hf its config.json, relative to the repository's root; else empty.
    """

    kind: str
    name: str
    file: str = ""


def parse_architecture(text: str) -> Architecture:
    """Parse the name of an architecture.

    It is one of "looknet", "resnet18", "torchvision/NAME", "timm/NAME", "hf/FOLDER", "hf/ORGANISATION/NAME",
    "networks/mine.py:Class" and "package.module:Class". Checks that a file of code exists, but not whether a library
    has the network.

    Raises:
        InputError: wrong syntax, or code that is outside the repository or part of the pipeline.
    """
    if text in OWN_NETWORKS:
        return Architecture("own", text)
    if ":" in text:
        place, _, name = text.rpartition(":")
        return Architecture("code", name, _code_file(text, place, name))
    library, slash, name = text.partition("/")
    if library == "hf" and name:
        return Architecture("hf", name, _config_file(text, name))
    if slash and library in ("torchvision", "timm") and "/" not in name:
        return Architecture(library, name)
    if slash:
        raise InputError(
            f"architecture {text!r}",
            "looknet, NAME, torchvision/NAME, timm/NAME, hf/NAME, or code such as networks/mine.py:Class",
            "another form",
            "Append the name of the class after a colon" if ".py" in text else "",
        )
    return Architecture("torchvision", text)


def _config_file(text: str, name: str) -> str:
    """The config.json of a folder of the repository; empty for a name on Hugging Face."""
    path = Path(name, "config.json")
    if path.is_file():
        if path.is_absolute() or not path.resolve().is_relative_to(Path.cwd().resolve()):
            raise InputError(
                f"architecture {text!r}", f"a folder of this repository, {Path.cwd()}", name, "Copy it to networks/"
            )
        return path.as_posix()
    if not _HF_NAME.fullmatch(name):
        raise InputError(
            f"architecture {text!r}",
            "a folder with a config.json, or ORGANISATION/NAME on Hugging Face",
            f"no {path}" if Path(name).is_dir() or "/" not in name else "neither",
            "Example: hf/microsoft/resnet-18, or hf/networks/my-vit",
        )
    return ""


def _code_file(text: str, place: str, name: str) -> str:
    subject = f"architecture {text!r}"
    if not name.isidentifier():
        raise InputError(subject, "a class or function after the colon", repr(name), "Example: networks/mine.py:MyNet")
    if place.endswith(".py"):
        candidates = [Path(place)]
    else:
        path = Path(*place.split("."))
        candidates = [Path(root, f) for root in _ROOTS for f in (path.with_suffix(".py"), path / "__init__.py")]
    root = Path.cwd()
    found = next((path for path in candidates if not path.is_absolute() and path.is_file()), None)
    if found is None or not found.resolve().is_relative_to(root.resolve()):
        raise InputError(
            subject,
            f"a file of this repository: {' or '.join(path.as_posix() for path in candidates)}",
            f"no such file in {root}",
            "For an installed package, create networks/mine.py with `from package.module import factory`",
        )
    # A model file names code and its arguments: it must not be able to call functions of the pipeline.
    if found.resolve().is_relative_to(PACKAGE) or found.parts[0] in ("stages", "tests", "tools", "benchmarks"):
        raise InputError(subject, "your own code", "a file of the pipeline", "Move the network to networks/")
    return found.as_posix()


def code_of(architecture: str) -> dict[str, str] | None:
    """Path and SHA-256 of the file that defines a network, and of each file of the repository that it imports.

    Paths are relative to the repository's root, and sorted. None if no file of the repository defines the network.

    Raises:
        InputError: a file is not valid Python.
    """
    source = parse_architecture(architecture)
    if not source.file:
        return None
    if source.kind == "hf":
        return {source.file: sha256_of(Path(source.file))}
    seen: set[Path] = set()
    waiting = [Path(source.file)]
    while waiting:
        path = waiting.pop()
        if path not in seen:
            seen.add(path)
            waiting += _imported(path)
    return {path.as_posix(): sha256_of(path) for path in sorted(seen)}


def _imported(path: Path) -> list[Path]:
    """Files of the repository that a file imports, without those of this package."""
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError) as error:
        raise InputError(str(path), "Python code", f"{type(error).__name__}: {error}") from error
    found: list[Path] = []
    for node in ast.walk(tree):
        names: list[str] = []
        roots = [Path(root) for root in _ROOTS] + [path.parent]
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            names = [module, *(f"{module}.{alias.name}".lstrip(".") for alias in node.names)]
            if node.level:
                roots = [path.parents[node.level - 1]]
        for name in filter(None, names):
            for root in roots:
                base = root.joinpath(*name.split("."))
                found += [file for file in (base.with_suffix(".py"), base / "__init__.py") if file.is_file()]
    return [file for file in found if not file.resolve().is_relative_to(PACKAGE)]


def parse_arguments(text: str) -> dict[str, Any]:
    """Parse keyword arguments such as "width=16,depth=4"; values become int, float, bool or str.

    Raises:
        InputError: an item without `=`, an invalid name, or a name given twice.
    """
    arguments: dict[str, Any] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals or not name.isidentifier() or name in arguments:
            raise InputError(
                "arguments", expected="unique names with values, such as width=16,depth=4", found=f"{part!r}"
            )
        arguments[name] = _value(value)
    return arguments


def _value(text: str) -> Any:
    if text in ("true", "false"):
        return text == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def check_code(path: Path, card: Card) -> None:
    """Check that the user's code of a model is unchanged since the model was trained.

    The card of an untrusted file names the code to call, so this also restricts the file to the code that it was
    trained with.

    Raises:
        InputError: a file of the code is missing or has another SHA-256.
    """
    changed = changed_code(card)
    if not changed:
        return
    raise InputError(
        str(path),
        f"the code of {card.architecture} that the model was trained with",
        f"another version of {', '.join(changed)}",
        "Restore those files (git log shows their versions), train the model again, or allow the code here by "
        "`accept_code: true` in its entry under `drive`, or `wheretolook look --accept-code`",
    )


def changed_code(card: Card) -> list[str]:
    """Files of the user's code that differ from those that the model was trained with, sorted.

    Raises:
        InputError: the file that defines the network is missing.
    """
    given, here = card.code or {}, code_of(card.architecture) or {}
    return sorted(name for name in {*given, *here} if given.get(name) != here.get(name))
