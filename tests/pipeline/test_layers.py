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
    "pipeline": {"data", "params.py"},
    "verify": {"data", "execution", "models", "cams", "pipeline"},
    "diff": {*LAYERS, "pipeline"},
}
# The modules of analysis that run a network; all others work on arrays.
RUN_NETWORKS = {"cascade", "classic", "perturb", "pieces", "probe", "randomised"}
TORCH_FREE = ("data", "analysis", "report", "pipeline", "verify", "diff")
TORCH_FREE_STAGES = ("fetch", "prepare", "compare", "report")
PACKAGE = SOURCE / "wheretolook"
MODULES = sorted(PACKAGE.rglob("*.py"))


def part_of(file: Path) -> str:
    """The package that a module is in; its own name where it is in none (cli.py, params.py, stage.py, ...)."""
    return file.relative_to(PACKAGE).parts[0]


def test_every_package_has_its_place() -> None:
    assert {part_of(file) for file in MODULES if file.parent != PACKAGE} == set(MAY_IMPORT)


@pytest.mark.parametrize("file", MODULES, ids=lambda file: file.relative_to(PACKAGE).as_posix())
def test_imports_point_down(file: Path) -> None:
    allowed = MAY_IMPORT.get(part_of(file))
    for imported in imported_files(file):
        if imported.is_relative_to(PACKAGE) and imported.read_text(encoding="utf-8").strip():
            below = part_of(imported)
            inside = allowed is None or below == part_of(file) or below in allowed
            assert inside, f"{file.name} imports {imported.name}"
            assert not below.startswith("cli") or file.name == "cli.py", f"{file.name} imports a command"


def test_no_imports_go_round_in_a_circle() -> None:
    TopologicalSorter({file: imported_files(file) for file in MODULES}).prepare()


@pytest.mark.parametrize("file", MODULES, ids=lambda file: file.relative_to(PACKAGE).as_posix())
def test_modules_hold_one_idea(file: Path) -> None:
    assert len(file.read_text(encoding="utf-8").splitlines()) <= 300


def reaches_torch(file: Path) -> Path | None:
    """A module that imports torch, of those that a file imports, directly or not; imports in functions count."""
    seen, waiting = set(), [file]
    while waiting:
        file = waiting.pop()
        if file in seen:
            continue
        seen.add(file)
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) else []
            if {name.split(".")[0] for name in names} & {"torch", "torchvision"}:
                return file
        waiting += imported_files(file)
    return None


@pytest.mark.parametrize("package", TORCH_FREE)
def test_code_of_arrays_and_text_never_reaches_torch(package: str) -> None:
    found = {file.stem: by for file in (PACKAGE / package).rglob("*.py") if (by := reaches_torch(file))}
    assert set(found) == (RUN_NETWORKS if package == "analysis" else set()), found


@pytest.mark.parametrize("stage", TORCH_FREE_STAGES)
def test_stages_without_a_network_never_reach_torch(stage: str) -> None:
    assert reaches_torch(STAGES / f"{stage}.py") is None


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
