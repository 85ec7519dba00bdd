"""Imports point one way only, and the code that should start fast stays free of torch."""

import ast
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from tests.pipeline.code_dependencies import ROOT, SOURCE, STAGES, imported_files

LAYERS = ["data", "execution", "models", "cams", "analysis", "report"]
# What each package may import beside itself: of the layers those below, and what stands beside them.
MAY_IMPORT = {layer: set(LAYERS[:height]) for height, layer in enumerate(LAYERS)} | {
    "console": {"data", "execution"},
    "pipeline": {"data"},
    "verify": {"data", "execution", "models", "cams", "pipeline"},
    "diff": {*LAYERS, "pipeline"},
    "look": {*LAYERS, "console"},
    "commands": {*LAYERS, "console", "pipeline", "verify", "diff", "look"},
}
# Within analysis, what each package may import beside itself; result.py, which puts a model's figures together, all.
MAY_IMPORT_IN_ANALYSIS = {
    "statistics": set(),
    "maps": set(),
    "agreement": {"statistics", "maps"},
    "located": {"statistics", "maps"},
    "probing": {"statistics", "maps"},
    "classes": {"statistics", "maps", "agreement"},
    "statements": {"statistics", "maps", "agreement", "located", "classes"},
}
# The one package of analysis that runs networks; all others work on arrays.
RUNS_NETWORKS = "probing"
TORCH_FREE = ("data", "analysis", "report", "pipeline", "verify", "diff")
TORCH_FREE_STAGES = ("fetch", "prepare", "compare", "report")
PACKAGE = SOURCE / "wheretolook"
MODULES = sorted(PACKAGE.rglob("*.py"))


def part_of(file: Path) -> str:
    """The package that a module is in; its own name where it is in none (cli.py, values.py)."""
    return file.relative_to(PACKAGE).parts[0]


def test_every_package_has_its_place() -> None:
    assert {part_of(file) for file in MODULES if file.parent != PACKAGE} == set(MAY_IMPORT)


@pytest.mark.parametrize("file", MODULES, ids=lambda file: file.relative_to(PACKAGE).as_posix())
def test_imports_point_down(file: Path) -> None:
    allowed = MAY_IMPORT.get(part_of(file))
    for imported in imported_files(file):
        if imported.is_relative_to(PACKAGE) and imported.read_text(encoding="utf-8").strip():
            below = part_of(imported)
            inside = allowed is None or below in {part_of(file), "errors.py"} or below in allowed
            assert inside, f"{file.name} imports {imported.name}"


@pytest.mark.parametrize("package", MAY_IMPORT_IN_ANALYSIS)
def test_imports_within_analysis_point_down(package: str) -> None:
    for file in (PACKAGE / "analysis" / package).rglob("*.py"):
        for imported in imported_files(file):
            if imported.parent.parent == PACKAGE / "analysis" and imported.name != "__init__.py":
                inside = imported.parent.name in {package} | MAY_IMPORT_IN_ANALYSIS[package]
                assert inside, f"{file.name} imports {imported.name}"


def test_every_package_of_analysis_has_its_place() -> None:
    folders = {file.parent.name for file in (PACKAGE / "analysis").rglob("*.py")}
    assert folders == {"analysis", *MAY_IMPORT_IN_ANALYSIS}
    assert [file.name for file in (PACKAGE / "analysis").glob("*.py")] == ["__init__.py", "result.py"]


def test_no_imports_go_round_in_a_circle() -> None:
    TopologicalSorter({file: imported_files(file) for file in MODULES}).prepare()


@pytest.mark.parametrize("file", MODULES, ids=lambda file: file.relative_to(PACKAGE).as_posix())
def test_modules_hold_one_idea(file: Path) -> None:
    assert len(file.read_text(encoding="utf-8").splitlines()) <= 300


def reaches(file: Path, libraries: set[str]) -> Path | None:
    """A module that imports one of the libraries, of those that a file imports, directly or not.

    Imports in functions count.
    """
    seen, waiting = set(), [file]
    while waiting:
        file = waiting.pop()
        if file in seen:
            continue
        seen.add(file)
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) else []
            if {name.split(".")[0] for name in names} & libraries:
                return file
        waiting += imported_files(file)
    return None


TORCH = {"torch", "torchvision"}


@pytest.mark.parametrize("package", TORCH_FREE)
def test_code_of_arrays_and_text_never_reaches_torch(package: str) -> None:
    files = [file for file in (PACKAGE / package).rglob("*.py") if file.parent.name != RUNS_NETWORKS]
    found = {file.stem: by for file in files if (by := reaches(file, TORCH))}
    assert found == {}


def test_the_report_never_reaches_scipy_which_takes_longer_to_import_than_a_page_to_write() -> None:
    assert {file.stem: by for file in (PACKAGE / "report").rglob("*.py") if (by := reaches(file, {"scipy"}))} == {}


@pytest.mark.parametrize("stage", TORCH_FREE_STAGES)
def test_stages_without_a_network_never_reach_torch(stage: str) -> None:
    assert reaches(STAGES / f"{stage}.py", TORCH) is None


@pytest.mark.parametrize("script", sorted(STAGES.glob("*.py")), ids=lambda script: script.stem)
def test_help_imports_nothing_heavy(script: Path) -> None:
    code = (
        "import runpy, sys; sys.argv = [sys.argv[1], '--help']\n"
        "try: runpy.run_path(sys.argv[0], run_name='__main__')\n"
        "except SystemExit: pass\n"
        "print(sorted({'torch', 'pandas', 'scipy', 'sklearn', 'matplotlib', 'numpy', 'PIL'} & set(sys.modules)))"
    )
    out = subprocess.run(
        [sys.executable, "-c", code, str(script)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert out.stdout.splitlines()[-1] == "[]"
