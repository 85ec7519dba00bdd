from itertools import pairwise

import numpy as np
import pytest
import scipy.stats

from wheretolook.analysis.localisation.common_place import group_figures
from wheretolook.analysis.statistics.bootstrap import group_codes, has_groups
from wheretolook.analysis.statistics.classification import (
    balanced_accuracy_interval,
    brier_score,
    calibration_floor,
    classification_scores,
    expected_calibration_error,
    scarce_classes,
    softmax,
    wilson_interval,
)


def test_scores_by_hand() -> None:
    logits = np.log(np.array([[0.8, 0.2], [0.6, 0.4], [0.3, 0.7], [0.9, 0.1]], dtype=np.float32))
    found = classification_scores(logits, np.array([0, 0, 1, 1]), ("a", "b"))
    assert found["confusion"] == [[2, 0], [1, 1]]
    assert found["accuracy"] == found["balanced_accuracy"] == 0.75
    assert found["auroc"] == 0.5
    assert found["brier"] == pytest.approx((0.04 + 0.16 + 0.09 + 0.81) / 4)
    assert found["log_loss"] == pytest.approx(-np.log([0.8, 0.6, 0.7, 0.1]).mean(), rel=1e-5)
    assert found["classes"]["b"] == {"images": 2, "recall": 0.5, "precision": 1.0}


def test_three_classes_and_a_missing_one() -> None:
    logits = np.eye(3, dtype=np.float32)[[0, 1, 2, 0]]
    assert classification_scores(logits, np.array([0, 1, 2, 0]), ("a", "b", "c"))["auroc"] == 1
    found = classification_scores(logits[:2], np.array([0, 1]), ("a", "b", "c"))
    assert found["auroc"] is None
    assert found["balanced_accuracy"] == 1
    assert found["classes"]["c"] == {"images": 0, "recall": None, "precision": None}


def test_softmax_takes_large_logits() -> None:
    np.testing.assert_array_equal(softmax(np.array([[1e4, 0.0]], dtype=np.float32)), [[1, 0]])
    np.testing.assert_allclose(softmax(np.array([[1000.0, 1000.0], [0.0, np.log(3)]])), [[0.5, 0.5], [0.25, 0.75]])


def test_calibration_error_is_the_gap_of_score_and_accuracy() -> None:
    scores = np.tile([0.8, 0.2], (10, 1))
    assert expected_calibration_error(scores, np.array([0] * 8 + [1] * 2)) == pytest.approx(0)
    assert expected_calibration_error(scores, np.array([0] * 5 + [1] * 5)) == pytest.approx(0.3)
    assert expected_calibration_error(np.array([[1.0, 0.0]]), np.array([0])) == 0


def test_floor_of_the_calibration_error_is_what_a_calibrated_model_has() -> None:
    rng = np.random.default_rng(0)
    winning = rng.uniform(0.5, 1, 150)
    scores = np.column_stack([winning, 1 - winning])
    drawn = [expected_calibration_error(scores, (rng.random(150) > winning).astype(int)) for _ in range(300)]
    assert calibration_floor(scores)[0] == pytest.approx(np.mean(drawn), rel=0.05)
    assert calibration_floor(scores)[1] == pytest.approx(np.quantile(drawn, 0.975), rel=0.1)
    assert calibration_floor(np.array([[1.0, 0.0]])) == (0, 0)


def test_brier_score_is_half_the_squared_distance_for_any_number_of_classes() -> None:
    assert brier_score(np.array([[0.0, 0.0, 1.0]]), np.array([0])) == 1
    assert brier_score(np.array([[0.5, 0.5, 0.0]]), np.array([0])) == 0.25


def test_image_without_a_group_is_one_by_itself() -> None:
    codes = group_codes(np.array(["P1", "", "P1", "P2", ""]))
    assert codes[0] == codes[2]
    assert len(set(codes)) == 4
    assert has_groups(np.array(["", "x"]))
    assert not has_groups(np.array(["", ""]))


def test_copies_of_an_image_are_one_group_and_join_the_groups_they_are_in() -> None:
    codes = group_codes(np.array(["P1", "P1", "P2", "", "", ""]), np.array(["a", "b", "b", "c", "d", "d"]), [(0, 3)])
    assert len(set(codes[:4])) == 1
    assert codes[4] == codes[5] != codes[0]
    assert len(set(group_codes(np.array(["", ""]), np.array(["a", "b"])))) == 2


def test_balanced_accuracy_interval_holds_the_figure_and_a_flawless_class_is_not_beyond_doubt() -> None:
    labels = np.repeat([0, 1], 40)
    right = np.ones(80, bool)
    low, high = balanced_accuracy_interval(right, labels, np.arange(80))
    assert low == pytest.approx(1 - (1 - wilson_interval(1.0, 40)[0]) / np.sqrt(2))
    assert high == 1
    right[:10] = False
    low, high = balanced_accuracy_interval(right, labels, np.arange(80))
    assert low < 0.875 < high < 1


@pytest.mark.parametrize("per_group", [1, 3])
def test_lower_bound_of_balanced_accuracy_falls_with_every_error(per_group: int) -> None:
    labels, groups = np.repeat([0, 1], 75), np.arange(150) // per_group
    lows = []
    for errors in range(5):
        right = np.ones(150, bool)
        right[: 3 * errors : 3] = right[75 : 75 + 3 * errors : 3] = False
        lows.append(balanced_accuracy_interval(right, labels, groups)[0])
    assert all(a > b for a, b in pairwise(lows))


def test_balanced_accuracy_interval_covers_the_truth() -> None:
    """Recalls of 0.9 and 0.7, alone and in groups of three, 400 runs each: 95 %, give or take three standard errors."""
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], 75)
    for per_group in (1, 3):
        groups = np.arange(150) // per_group
        level = scipy.stats.norm.ppf(np.where(labels == 0, 0.9, 0.7))
        field = rng.normal(size=(400, 150)) + (
            rng.normal(size=(400, 50))[:, np.arange(150) // 3] if per_group > 1 else 0
        )
        inside = 0
        for draws in field / (np.sqrt(2) if per_group > 1 else 1):
            low, high = balanced_accuracy_interval(draws < level, labels, groups)
            inside += low <= 0.8 <= high
        assert 0.915 <= inside / 400 <= 0.985


def test_too_few_groups_have_no_interval() -> None:
    labels = np.repeat([0, 1], 40)
    assert balanced_accuracy_interval(np.ones(80, bool), labels, np.arange(80) % 9) is None
    assert set(scarce_classes(labels, np.arange(80) % 9)) == {0, 1}
    assert scarce_classes(np.repeat([0, 1, 3], [10, 6, 40]), np.arange(56)) == {1: 6}
    assert balanced_accuracy_interval(np.ones(0, bool), np.zeros(0, int), np.zeros(0, int)) is None
    one_patient_of_many = np.r_[np.zeros(60, int), np.arange(1, 29)]
    assert scarce_classes(np.zeros(88, int), one_patient_of_many) == {0: 2}


def test_groups_that_fare_worst_come_first() -> None:
    names = np.repeat([f"P{i:02}" for i in range(12)], 5)
    right = np.ones(60, bool)
    right[5:8] = False
    found = group_figures("accuracy", right, group_codes(names), names, 199, 0)
    assert found["groups"] == 12
    assert found["worst"][0] == {"group": "P01", "images": 5, "accuracy": 0.4}
    assert found["accuracy_low"] < found["accuracy"] == 0.95
    assert (found["lowest"], found["highest"]) == (0.4, 1.0)
    assert found["spread"] == pytest.approx(np.std([0.4] + [1.0] * 11, ddof=1))
    assert len(found["worst"]) == 5
