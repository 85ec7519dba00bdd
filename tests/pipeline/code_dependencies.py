"""What a stage's script imports, as the folders and files that dvc.yaml may name."""

import ast
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src"
STAGES = ROOT / "stages"
PACKAGE = SOURCE / "wheretolook"


def transitive_imports(script: Path) -> set[Path]:
    """Files of the project that a script imports, directly or not, itself included; imports inside functions count.

    Empty `__init__.py` files hold no code and are left out.
    """
    found: set[Path] = set()
    waiting = [script]
    while waiting:
        file = waiting.pop()
        if file not in found:
            found.add(file)
            waiting += imported_files(file)
    return {file for file in found if file.read_text(encoding="utf-8").strip()}


def dependency_of(file: Path) -> str:
    """What dvc.yaml names for a file: its top folder below src/wheretolook; the file itself in params/ and elsewhere.

    Options are one file a stage, so that a new option of `report` re-runs no training.
    """
    if not file.is_relative_to(PACKAGE) or file.parent in (PACKAGE, PACKAGE / "params"):
        return file.relative_to(ROOT).as_posix()
    return (PACKAGE / file.relative_to(PACKAGE).parts[0]).relative_to(ROOT).as_posix()


def dependencies_of(script: Path) -> set[str]:
    """What dvc.yaml names for a stage's script; a folder where all files of params/ are imported."""
    found = {dependency_of(file) for file in transitive_imports(script)}
    options = {file.relative_to(ROOT).as_posix() for file in (PACKAGE / "params").glob("[a-z]*.py")}
    return found - options | {"src/wheretolook/params"} if options <= found else found


@cache
def imported_files(file: Path) -> list[Path]:
    """Files of the project that one file imports itself."""
    return [module for name in imported_names(file) if (module := module_file(name, beside=file.parent))]


@cache
def imported_names(file: Path) -> tuple[str, ...]:
    """Modules that one file imports itself, also inside functions; of `from a import b` both `a` and `a.b`."""
    names: list[str] = []
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"), filename=str(file))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0 and node.module, f"{file}: relative import; write it absolute"
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return tuple(names)


@cache
def module_file(name: str, beside: Path) -> Path | None:
    """The project's file of a module's name: in src/, or a stage's script that another stage imports."""
    parts = name.split(".")
    folders = [SOURCE, STAGES] if beside == STAGES else [SOURCE]
    for folder in folders:
        base = folder.joinpath(*parts)
        for candidate in (base.with_suffix(".py"), base / "__init__.py"):
            if candidate.is_file():
                return candidate
    return None
