"""Limits that a change must keep."""

import pytest

from tests.diff.changed import run
from tests.pipeline.project import Project
from wheretolook.diff.changes import Difference, Gates, broken_gates
from wheretolook.diff.model_changes import Drift, MetricChange, ModelChange


@pytest.mark.parametrize(
    ("limits", "told"),
    [
        (["--max-drift", "0.49"], "every-0: drift 0.5000"),
        (["--max-drop", "test.accuracy=0.1"], "every-0: test.accuracy fell"),
        (["--max-rise", "test.log_loss=0.1"], "every-0: test.log_loss rose"),
    ],
)
def test_a_limit_that_is_not_kept_ends_with_1(project: Project, limits: list[str], told: str) -> None:
    result = run(project, "base", "HEAD", *limits)
    assert result.exit_code == 1
    assert told in result.output
    assert "last-0: drift" not in result.output


def test_limits_that_are_kept_end_with_0(project: Project) -> None:
    limits = ["--max-drift", "0.5", "--max-drop", "test.accuracy=1", "--max-rise", "test.log_loss=9"]
    assert run(project, "base", "HEAD", *limits).exit_code == 0


def test_a_misspelt_figure_is_no_passed_limit(project: Project) -> None:
    result = run(project, "base", "HEAD", "--max-drop", "test.acuracy=0.1")
    assert result.exit_code == 1
    assert "test.accuracy" in result.output


@pytest.mark.parametrize(
    "limit",
    ["test.accuracy", "=0.1", *(f"test.accuracy={limit}" for limit in ("-1", "much", "nan", "inf", "-inf"))],
)
def test_a_limit_of_another_form_is_a_wrong_use(project: Project, limit: str) -> None:
    assert run(project, "base", "HEAD", "--max-drop", limit).exit_code == 2


@pytest.mark.parametrize("limit", ["nan", "inf", "-nan", "2.1"])
def test_no_drift_is_more_than_nan_so_it_is_no_limit(project: Project, limit: str) -> None:
    assert run(project, "base", "HEAD", "--max-drift", limit).exit_code == 2


@pytest.mark.parametrize(
    "words",
    [
        ["--max-drift", "0.1", "--max-drift", "2"],
        ["--max-drop", "test.accuracy=0.1", "--max-drop", "test.accuracy=1"],
        ["--max-rise", "test.log_loss=0.1", "--max-rise", "test.log_loss=9"],
    ],
)
def test_a_limit_given_twice_is_a_wrong_use(project: Project, words: list[str]) -> None:
    done = run(project, "base", "HEAD", *words)
    assert done.exit_code == 2 and words[0] in done.output


def test_what_is_no_number_keeps_no_limit() -> None:
    drift = Drift(images=3, left_out=0, mean=float("nan"), classes={})
    model = ModelChange("m", "m", (MetricChange("test.accuracy", 0.5, float("nan")),), drift=drift)
    difference = Difference("a", "b", (model,), (), (), ())
    broken = broken_gates(Gates(0.1, {"test.accuracy": 0.1}, {"test.accuracy": 0.1}), difference)
    assert len(broken) == 3
