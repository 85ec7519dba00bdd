"""The end of `make repro` says by how much figures moved from the committed ones."""

import json
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from wheretolook.cli.diff_command import METRICS, main, moved_figures

COMMITTED = {"last-0": {"test": {"accuracy": 0.9, "ece": 0.1, "auroc": 0.99}}, "gone": {"test": {"accuracy": 1.0}}}


def write(root: Path, figures: dict) -> None:
    (root / METRICS).parent.mkdir(exist_ok=True)
    (root / METRICS).write_text(json.dumps(figures))


@pytest.fixture
def committed(tmp_path: Path) -> Path:
    write(tmp_path, COMMITTED)
    for words in ("init -q", "add -A", "-c user.name=t -c user.email=t@localhost commit -q -m results"):
        subprocess.run(["git", *words.split()], cwd=tmp_path, check=True)
    return tmp_path


def test_the_largest_change_comes_first_and_only_shared_figures_count(committed: Path):
    write(committed, {"last-0": {"test": {"accuracy": 0.89, "ece": 0.25, "auroc": 0.99}}, "new": {"ece": 1.0}})
    count, moved = moved_figures(committed)
    assert count == 3
    assert [(change.name, round(change.change, 6)) for change in moved] == [
        ("last-0.test.ece", 0.15),
        ("last-0.test.accuracy", -0.01),
    ]


def test_equal_figures_are_silence(committed: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(committed)
    assert CliRunner().invoke(main).output == ""


def test_without_a_commit_or_figures_nothing_is_said(tmp_path: Path, committed: Path, monkeypatch: pytest.MonkeyPatch):
    (committed / METRICS).write_text("{")
    assert moved_figures(committed) == (0, [])
    (committed / METRICS).unlink()
    assert moved_figures(committed) == (0, [])
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "no repository"))
    write(committed, COMMITTED)
    assert moved_figures(committed) == (0, [])


def test_it_shows_from_and_to(committed: Path, monkeypatch: pytest.MonkeyPatch):
    write(committed, {"last-0": {"test": {"accuracy": 0.875, "ece": 0.1, "auroc": 0.99}}})
    monkeypatch.chdir(committed)
    lines = CliRunner().invoke(main).output.splitlines()
    assert "1 of 3 figures" in lines[0]
    assert "last-0.test.accuracy: 0.9 -> 0.875 (-0.025)" in lines[1]
