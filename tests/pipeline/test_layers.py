"""Imports point one way only, and the code that should start fast stays free of torch."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tests.pipeline.code_dependencies import ROOT, SOURCE, STAGES, imported_files

LAYERS = ["data", "models", "cams", "analysis", "report"]
PACKAGE = SOURCE / "wheretolook"
MODULES = sorted(PACKAGE.rglob("*.py"))


def layer_of(file: Path) -> int | None:
    """Height of a module's layer; None for the modules above all layers (cli.py, params.py, stage.py, ...)."""
    folder = file.relative_to(PACKAGE).parts[0]
    return LAYERS.index(folder) if folder in LAYERS else None


@pytest.mark.parametrize("file", MODULES, ids=lambda file: file.relative_to(PACKAGE).as_posix())
def test_imports_point_down(file: Path) -> None:
    height = layer_of(file)
    for imported in imported_files(file):
        if height is not None and imported.is_relative_to(PACKAGE):
            below = layer_of(imported)
            empty = not imported.read_text(encoding="utf-8").strip()
            assert empty or (below is not None and below <= height), f"{file.name} imports {imported.name}"


@pytest.mark.parametrize("file", MODULES, ids=lambda file: file.relative_to(PACKAGE).as_posix())
def test_modules_hold_one_idea(file: Path) -> None:
    assert len(file.read_text(encoding="utf-8").splitlines()) <= 300


def test_report_never_reaches_torch() -> None:
    seen, waiting = set(), [*(PACKAGE / "report").glob("*.py"), STAGES / "report.py"]
    while waiting:
        file = waiting.pop()
        if file in seen:
            continue
        seen.add(file)
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) else []
            assert not [name for name in names if name.split(".")[0] in ("torch", "torchvision")], file
        waiting += imported_files(file)


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
