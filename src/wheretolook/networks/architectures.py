"""What `architecture` names: a network of the project, of torchvision, of timm, or a class in a file of the user's."""

import ast
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wheretolook.base.errors import InputError
from wheretolook.base.files import sha256_of
from wheretolook.networks.looknet_arguments import LOOKNET

PACKAGE = Path(__file__).parents[1]
# Where packages of the repository are looked for, from the folder that the pipeline runs in.
_ROOTS = ("", "src")


@dataclass(frozen=True)
class Architecture:
    """Where a network comes from.

    Attributes:
        kind: "looknet", "torchvision", "timm" or "code".
        name: of the network in its library; of code, the class or function.
        file: of code, the file that holds it, as a path from the repository's root; else empty.
    """

    kind: str
    name: str
    file: str = ""


def parse_architecture(text: str) -> Architecture:
    """Read "looknet", "resnet18", "torchvision/NAME", "timm/NAME", "networks/mine.py:Class" or "package.module:Class".

    Whether there is such a network is not known here, but whether the file of code is there is.

    Raises:
        InputError: code that is not in the repository, or is the project's own.
    """
    if text == LOOKNET:
        return Architecture(LOOKNET, LOOKNET)
    if ":" in text:
        place, _, name = text.rpartition(":")
        return Architecture("code", name, _code_file(text, place, name))
    library, slash, name = text.partition("/")
    if slash and library in ("torchvision", "timm") and "/" not in name:
        return Architecture(library, name)
    if slash:
        raise InputError(
            f"architecture {text!r}",
            "looknet, NAME or torchvision/NAME, timm/NAME, or code as networks/mine.py:Class",
            "none of them",
            "Of a file of yours, name the class after a colon" if ".py" in text else "",
        )
    return Architecture("torchvision", text)


def _code_file(text: str, place: str, name: str) -> str:
    subject = f"architecture {text!r}"
    if not name.isidentifier():
        raise InputError(subject, "a class or function after the colon", repr(name), "Like networks/mine.py:MyNet")
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
            f"a file of this repository, {' or '.join(path.as_posix() for path in candidates)}",
            f"no such file in {root}",
            "Of an installed package, write networks/mine.py with `from package.module import factory`",
        )
    # Code that a model file names is called with what the file says: never code that does other things than networks.
    if found.resolve().is_relative_to(PACKAGE) or found.parts[0] in ("stages", "tests", "tools", "benchmarks"):
        raise InputError(subject, "code of your own, as in networks/", "a file of the pipeline", "Move it to networks/")
    return found.as_posix()


def code_of(architecture: str) -> dict[str, str] | None:
    """Path and SHA-256 of the file that a network is defined in and of all that it imports inside the repository.

    Paths are from the repository's root, sorted; None for an architecture that is not code of the user's.

    Raises:
        InputError: a file that is no Python.
    """
    source = parse_architecture(architecture)
    if source.kind != "code":
        return None
    seen: set[Path] = set()
    waiting = [Path(source.file)]
    while waiting:
        path = waiting.pop()
        if path not in seen:
            seen.add(path)
            waiting += _imported(path)
    return {path.as_posix(): sha256_of(path) for path in sorted(seen)}


def _imported(path: Path) -> list[Path]:
    """Files of the repository that a file imports, those of this package left out."""
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError) as error:
        raise InputError(str(path), "Python code", f"{type(error).__name__}: {error}", "Correct it") from error
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
    """Keyword arguments written as "width=16,depth=4": whole numbers, numbers, true and false, or else text.

    Raises:
        InputError: a part without `=`, or a name given twice.
    """
    arguments: dict[str, Any] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals or not name.isidentifier() or name in arguments:
            raise InputError(
                "arguments", expected="names with values, each once, like width=16,depth=4", found=f"{part!r}"
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
