"""Comparing models and revisions, including added and removed models."""

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.diff.changed import read_diff, run
from tests.pipeline.code_dependencies import ROOT
from tests.pipeline.project import Project, environment
from wheretolook.cli.diff_command import diff


def test_models_that_came_and_went_are_named(found: dict) -> None:
    assert (found["added"], found["removed"]) == (["every-1"], ["last-1"])


def test_the_workspace_is_what_b_is_by_default(project: Project, found: dict) -> None:
    assert read_diff(project, "base", "--images", "4")["models"] == found["models"]


def test_the_other_way_round_a_broken_prediction_is_a_fixed_one(project: Project) -> None:
    found = read_diff(project, "HEAD", "base")
    assert found["models"][1]["predictions"]["fixed"] == 1
    assert (found["added"], found["removed"]) == (["last-1"], ["every-1"])


def test_a_revision_against_itself_reads_no_map(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wheretolook.diff.sides.link_cached", lambda *_: pytest.fail("data was fetched"))
    result = run(project, "HEAD", "main", "--max-drift", "0")
    assert result.exit_code == 0
    assert "Nothing changed." in result.output


def test_two_models_of_one_tree_are_compared_with_their_agreement(project: Project) -> None:
    result = run(project, "last-0", "every-0")
    assert result.exit_code == 0
    assert "last-0 → every-0" in result.output
    assert "mean correlation" in result.output
    assert "test.accuracy" in result.output


def test_what_is_no_revision_and_no_model_is_refused(project: Project) -> None:
    assert "expected a model, a git revision or an experiment" in run(project, "nonsense", "HEAD").output
    mixed = run(project, "last-0", "HEAD").output
    assert "expected two models or two revisions" in mixed and "every-1" in mixed
    assert "found the model last-0 only" in run(project, "last-0").output


def test_outside_of_the_projects_folder_it_says_where_to_go(project: Project) -> None:
    result = CliRunner().invoke(diff, ["HEAD", "--root", str(project.root / "reports")])
    assert result.exit_code == 1
    assert "expected a folder with dvc.yaml" in result.output


def test_ended_by_term_it_leaves_no_scratch_folder(project: Project, tmp_path: Path) -> None:
    code = (
        "import os, signal\n"
        "from wheretolook.cli import main\n"
        "from wheretolook.diff import changes\n"
        "changes._compare_sides = lambda *_: os.kill(os.getpid(), signal.SIGTERM)\n"
        f"main.main(['diff', 'base', '--root', {str(project.root)!r}])\n"
    )
    inside = environment() | {"PYTHONPATH": str(ROOT / "src"), "TMPDIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], env=inside, capture_output=True, text=True)
    assert done.returncode == 128 + 15, done.stderr
    assert "Traceback" not in done.stderr and list(tmp_path.glob("wheretolook-*")) == []
