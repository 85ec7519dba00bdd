"""A change of known size in one model, seen in its maps and its predictions."""

import re
from pathlib import Path

import numpy as np
import pytest

from tests.diff.changed import LAST, edit_array, run
from tests.finished import finished_project


def test_the_drift_is_one_less_the_mean_correlation(found: dict) -> None:
    last, every = found["models"]
    assert (last["name_a"], last["drift"]["mean"], last["predictions"]["changed"]) == ("last-0", 0, 0)
    assert every["drift"]["mean"] == pytest.approx(2 * 3 / 12, abs=1e-6), "three of twelve correlate by -1, nine by 1"
    assert every["drift"]["classes"] == pytest.approx({"infected": 2 * 3 / 6, "uninfected": 0}, abs=1e-6)
    assert every["drift"]["images"] == 12


def test_a_changed_prediction_is_counted_once(found: dict) -> None:
    assert found["models"][1]["predictions"] == {"images": 12, "changed": 1, "fixed": 0, "broken": 1}


def test_the_images_that_moved_most_come_first_with_what_each_side_takes_them_for(found: dict) -> None:
    moved = found["models"][1]["moved"]
    assert [image["drift"] for image in moved] == pytest.approx([2, 2, 2], abs=1e-6), "the other nine stayed"
    assert {image["image_id"]: (image["predicted_a"], image["predicted_b"]) for image in moved} == {
        "infected/0000.png": ("infected", "infected"),
        "infected/0002.png": ("infected", "uninfected"),
        "infected/0004.png": ("infected", "infected"),
    }


def test_where_all_maps_are_constant_the_predictions_are_compared_and_it_says_so(tmp_path: Path) -> None:
    def make_constant(root: Path) -> None:
        edit_array(root, "every-0", LAST, np.zeros_like(np.load(root / "data/cams/every-0" / LAST)))

    project = finished_project(tmp_path, change=make_constant)
    result = run(project, "last-0", "every-0")
    assert result.exit_code == 0, result.output
    assert "last-0 → every-0: maps could not be compared. Reason: all maps are constant." in result.output
    assert re.search(r"^last-0 → every-0 +12 +– +– +\d", result.output, re.MULTILINE), "predictions were compared"
