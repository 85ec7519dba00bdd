"""Stage `report`, on made-up results."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.report.fake import STAGE, drawing_only, load_stage, stage_options, write_report, write_world

FIGURES = ("agreement", "classes", "confusion", "images", "layers", "localisation", "training")
WRITTEN = {
    "metrics.json",
    "data.json",
    "summary.md",
    "site/index.html",
    "revision.json",
    "plots/agreement.csv",
    "plots/confusion/every-0.csv",
    "plots/confusion/last-0.csv",
    "plots/curves.csv",
    "plots/faithfulness.csv",
    "plots/localisation.csv",
    "plots/sanity.csv",
    "plots/training.csv",
    "plots/training_layers.csv",
    *(f"figures/{n}.png" for n in FIGURES),
    *(f"site/figures/{n}.pdf" for n in FIGURES),
    "site/figures/captions.md",
}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("report")
    write_world(root, names=("last-0", "every-0"), per_class=8, size=32, grids=(8, 4))
    return root


def files_of(root: Path) -> dict[str, str]:
    made = (root / "reports" / name for name in WRITTEN)
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in made}


def run(root: Path, *extra: str) -> subprocess.CompletedProcess[str]:
    """The stage in a process of its own, as DVC runs it."""
    environment = {**os.environ, "PYTHONPATH": str(STAGE.parents[1] / "src")}
    words = [sys.executable, str(STAGE), *stage_options(root), *extra]
    return subprocess.run(words, env=environment, capture_output=True, text=True, timeout=900)


def test_the_same_inputs_give_the_same_bytes_in_another_process(root: Path):
    told = write_report(root, figures="all")
    first = files_of(root)
    done = run(root)
    assert done.returncode == 0, done.stderr
    assert files_of(root) == first
    assert done.stdout == told
    first, last = told.splitlines()
    assert first == "report: results of 2 models, tables, figures and the page"
    assert last.startswith("report: 8 of 8 images of test on the page (0.")
    assert last.endswith("site/index.html")
    assert done.stderr == ""


def test_a_model_that_is_named_no_more_leaves_the_report_and_one_model_without_masks_makes_one(tmp_path: Path):
    write_world(tmp_path, names=("last-0", "every-0"), per_class=4, size=16, grids=(4, 2), masks=False)
    write_report(tmp_path)
    (tmp_path / "reports/names.json").write_text('{"models": ["every-0"], "trained": ["every-0"], "drive": []}')
    assert write_report(tmp_path, figures="png").startswith("report: results of 1 model, ")
    assert [path.name for path in (tmp_path / "reports/plots/confusion").iterdir()] == ["every-0.csv"]
    assert "last-0" not in (tmp_path / "reports/summary.md").read_text()
    assert not (tmp_path / "reports/figures/localisation.png").exists()


def test_a_model_whose_last_layers_maps_fail_the_sanity_check_is_marked_in_the_figures(root: Path, tmp_path: Path):
    copied = shutil.copytree(root, tmp_path / "failing")
    file = copied / "reports/models/last-0.json"
    found = json.loads(file.read_text())
    found["sanity"]["cam.block2"]["verdict"] = "fail"
    file.write_text(json.dumps(found))
    write_report(copied, figures="png")
    images = "reports/figures/images.png"
    assert (copied / images).read_bytes() != (root / images).read_bytes()


def test_maps_that_were_edited_are_refused_without_a_traceback(root: Path, tmp_path: Path):
    copied = shutil.copytree(root, tmp_path / "edited")
    maps = copied / "data/cams/last-0/cam.block2.npy"
    maps.write_bytes(maps.read_bytes()[:-1] + b"\x01")
    done = CliRunner().invoke(load_stage(), stage_options(copied))
    assert done.exit_code == 1
    assert "cam.block2.npy: expected sha256" in done.output
    assert 'Run "dvc repro -sf export@last-0"' in done.output


def test_mean_maps_that_are_missing_are_refused_without_a_traceback(root: Path, tmp_path: Path):
    copied = shutil.copytree(root, tmp_path / "missing")
    shutil.rmtree(copied / "data/comparison")
    done = CliRunner().invoke(load_stage(), stage_options(copied))
    assert done.exit_code == 1
    assert 'expected what compare writes, found no file. Run "dvc repro -sf compare"' in done.output


def test_a_refusal_by_git_is_reported_in_one_line(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    copied = shutil.copytree(root, tmp_path / "refused")
    (copied / "reports/revision.json").unlink(missing_ok=True)
    subprocess.run(["git", "init", "-q", copied], check=True)
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")  # git's own tests of safe.directory
    with drawing_only("none"):
        done = CliRunner().invoke(load_stage(), stage_options(copied), catch_exceptions=False)
    reason = "fatal: detected dubious ownership in repository at '.'"
    assert (done.exit_code, done.stderr) == (0, f"report: the page cannot name its git revision: {reason}\n")
    page = (copied / "reports/site/index.html").read_text()
    assert f"unknown: {reason}" in page and "outside of a git repository" not in page


def test_an_option_that_is_missing_or_out_of_range_is_refused(root: Path):
    runner, stage = CliRunner(), load_stage()
    missing = runner.invoke(stage, stage_options(root)[2:])
    assert missing.exit_code == 2
    assert "Missing option '--gallery_images'" in missing.output
    none = runner.invoke(stage, [*stage_options(root), "--gallery_images", "0"])
    assert none.exit_code == 2


def test_help_loads_nothing_heavy():
    loaded = "import sys, runpy\nsys.argv = ['report.py', '--help']\n"
    loaded += f"try:\n    runpy.run_path({str(STAGE)!r}, run_name='__main__')\nexcept SystemExit:\n    pass\n"
    loaded += "print(sorted({'torch', 'pandas', 'matplotlib', 'numpy', 'jinja2', 'PIL'} & set(sys.modules)))"
    environment = {**os.environ, "PYTHONPATH": str(STAGE.parents[1] / "src")}
    done = subprocess.run([sys.executable, "-c", loaded], env=environment, capture_output=True, text=True, timeout=900)
    assert "--gallery_images" in done.stdout
    assert done.stdout.strip().endswith("[]")
