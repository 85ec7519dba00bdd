"""Imports point one way only, and the code that should start fast stays free of torch."""

import ast
import subprocess
import sys
from collections import Counter
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from tests.pipeline.code_dependencies import PACKAGE, ROOT, STAGES, imported_files, imported_names

# The packages, lowest first, each with what it may import beside itself; a folder within one is a package of its own
# where it is named here. base is below all of them.
MAY_IMPORT = {
    "base": set(),
    "base/terminal": {"base"},
    "params": {"base", "base/terminal"},
    "images": {"base"},
    "downloads": {"base"},
    "sources": {"downloads", "images", "base", "params"},
    "prepare": {"images", "base", "params"},
    "networks/runtime": {"base"},
    "networks": {"base"},
    "networks/layers": {"base", "networks", "networks/runtime"},
    "training": {"base", "networks", "networks/runtime", "params"},
    "importing": {"downloads", "base", "networks", "params"},
    "mapstore": {"base"},
    "cams": {"images", "base", "mapstore", "networks", "networks/layers", "networks/runtime", "params"},
    "analysis/results": {"base"},
    "analysis": {"analysis/results", "cams", "base", "networks/layers", "mapstore", "networks", "networks/runtime"},
    "report": {"analysis", "analysis/results", "base", "mapstore", "networks", "params"},
    "project": {"base/terminal", "downloads", "importing", "base", "mapstore", "networks", "params", "sources"},
    "verify": {"base", "images", "mapstore", "networks", "project"},
    "diff": {"analysis", "analysis/results", "base", "mapstore", "project", "report"},
    "look": {
        *("analysis", "cams", "prepare", "images", "base", "base/terminal", "networks/layers"),
        *("mapstore", "networks", "report", "networks/runtime"),
    },
    "cli": {"diff", "importing", "base", "base/terminal", "look", "project", "report", "verify"},
}
# Within analysis, likewise; files beside these folders are shared by all of them.
MAY_IMPORT_IN_ANALYSIS = {
    "statistics": set(),
    "agreement": {"statistics"},
    "localisation": {"statistics"},
    "probing": {"statistics"},
    "classes": {"statistics", "agreement", "localisation"},
    "statements": {"statistics", "agreement", "localisation", "classes"},
}
# The one package of analysis that runs networks; all others work on arrays.
RUNS_NETWORKS = "probing"
# It looks up the names of networks in torchvision or timm, where params.yaml names one; no other command imports it.
LOOKS_UP_NETWORKS = "check_values.py"
TORCH_FREE = (
    *("base", "params", "images", "downloads", "sources", "prepare", "mapstore"),
    *("analysis", "report", "project", "verify", "diff"),
)
TORCH_FREE_STAGES = ("fetch", "prepare", "shift", "compare", "report")
MODULES = sorted(PACKAGE.rglob("*.py"))


def part_of(file: Path) -> str:
    """The package that a module is in: the innermost folder that `MAY_IMPORT` names."""
    folders = [folder.as_posix() for folder in file.relative_to(PACKAGE).parents]
    return next((folder for folder in folders if folder in MAY_IMPORT), folders[0])


def test_every_package_has_its_place() -> None:
    assert {part_of(file) for file in MODULES if file.parent != PACKAGE} == set(MAY_IMPORT)
    assert {file.name for file in MODULES if file.parent == PACKAGE} == {"__init__.py"}


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_imports_point_down(package: str) -> None:
    for file in (file for file in MODULES if part_of(file) == package):
        for imported in imported_files(file):
            if imported.is_relative_to(PACKAGE) and imported.read_text(encoding="utf-8").strip():
                assert part_of(imported) in {package} | MAY_IMPORT[package], f"{file.name} imports {imported.name}"


@pytest.mark.parametrize("package", MAY_IMPORT_IN_ANALYSIS)
def test_imports_within_analysis_point_down(package: str) -> None:
    for file in (PACKAGE / "analysis" / package).rglob("*.py"):
        for imported in imported_files(file):
            if imported.parent.parent == PACKAGE / "analysis" and imported.parent.name in MAY_IMPORT_IN_ANALYSIS:
                inside = imported.parent.name in {package} | MAY_IMPORT_IN_ANALYSIS[package]
                assert inside, f"{file.name} imports {imported.name}"


def test_every_package_of_analysis_has_its_place() -> None:
    folders = {file.parent.name for file in (PACKAGE / "analysis").rglob("*.py")}
    assert folders == {"analysis", "results", *MAY_IMPORT_IN_ANALYSIS}


def test_no_two_modules_or_classes_share_a_name_and_few_modules_are_short() -> None:
    named = [file for file in MODULES if file.name != "__init__.py"]
    assert len({file.name for file in named}) == len(named) <= 180
    assert len([file for file in named if len(file.read_text(encoding="utf-8").splitlines()) < 30]) <= 10
    trees = [ast.parse(file.read_text(encoding="utf-8")) for file in named]
    classes = [node.name for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    assert [name for name, count in Counter(classes).items() if count > 1] == []


def test_no_imports_go_round_in_a_circle() -> None:
    TopologicalSorter({file: imported_files(file) for file in MODULES}).prepare()


def test_modules_hold_one_subject() -> None:
    assert [file.name for file in MODULES if len(file.read_text(encoding="utf-8").splitlines()) > 300] == []


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
        if {name.split(".")[0] for name in imported_names(file)} & libraries:
            return file
        waiting += imported_files(file)
    return None


TORCH = {"torch", "torchvision"}


@pytest.mark.parametrize("package", TORCH_FREE)
def test_code_of_arrays_and_text_never_reaches_torch(package: str) -> None:
    files = [file for file in (PACKAGE / package).rglob("*.py") if file.name != LOOKS_UP_NETWORKS]
    files = [file for file in files if file.parent.name != RUNS_NETWORKS]
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
