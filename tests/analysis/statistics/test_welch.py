import numpy as np
import pytest
from scipy.stats import ttest_ind

from wheretolook.analysis.statistics.permutation import design_of, directed_consensus, partial_conjunction, place_test

RNG = np.random.default_rng(0)
LABELS = np.arange(60) % 2
ALONE = design_of(LABELS, np.arange(60))


def test_statistic_is_scipys_welch_t() -> None:
    values = RNG.normal(3, 2, (1, 60, 9)).astype(np.float32)
    found = place_test(values, [0], ALONE, np.arange(60), 200, 0)
    for j in range(9):
        own, rest = (values[0, k == LABELS, j].astype(float) for k in (0, 1))
        assert found.t[0, j] == pytest.approx(ttest_ind(own, rest, equal_var=False).statistic, rel=1e-4)
        assert found.difference[0, j] == pytest.approx(own.mean() - rest.mean(), rel=1e-4)


def test_planted_place_is_found_and_others_are_not() -> None:
    values = RNG.normal(size=(1, 60, 9)).astype(np.float32)
    values[0, LABELS == 0, 4] += 2
    found = place_test(values, [0], ALONE, np.arange(60), 999, 0)
    assert found.p[0, 4] == pytest.approx(1 / 999)
    assert (np.delete(found.p[0], 4) > 0.05).all()


def test_too_few_relabellings_give_no_p_value() -> None:
    groups = np.arange(60) % 6  # six whole groups, three of each class: 20 relabellings
    values = RNG.normal(size=(1, 60, 4)).astype(np.float32)
    found = place_test(values, [0], design_of(LABELS, groups), groups, 999, 0)
    assert found.p is None
    assert found.permutations == 0


@pytest.mark.parametrize("grouped", [False, True])
def test_false_positive_rate(grouped: bool) -> None:
    """150 null simulations, a short form: with whole patients of one class and an intraclass correlation of a half."""
    labels, groups = np.repeat([0, 1], 60), np.arange(120) // (6 if grouped else 1)
    design, rng = design_of(labels, groups), np.random.default_rng(5)
    hits = 0
    for seed in range(150):
        values = rng.normal(size=(1, 120, 16)) + rng.normal(size=(1, 120, 16))[:, groups] * grouped
        values = values.astype(np.float32)
        hits += place_test(values, [0], design, groups, 200, seed).p.min() <= 0.05
    assert hits / 150 <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 150)


def test_image_level_permutation_would_reject_true_nulls_of_grouped_images() -> None:
    labels, groups = np.repeat([0, 1], 60), np.arange(120) // 12
    careless, rng = design_of(labels, np.arange(120)), np.random.default_rng(5)
    hits = 0
    for seed in range(30):
        values = (rng.normal(size=(1, 120, 16)) + rng.normal(size=(1, 120, 16))[:, groups]).astype(np.float32)
        hits += place_test(values, [0], careless, np.arange(120), 200, seed).p.min() <= 0.05
    assert hits > 20


def test_partial_conjunction_by_hand() -> None:
    p = np.array([[0.01, 0.5], [0.02, 0.01], [0.04, 0.03]])
    np.testing.assert_allclose(partial_conjunction(p, 3), [0.04, 0.5])
    np.testing.assert_allclose(partial_conjunction(p, 2), [0.04, 0.06])
    np.testing.assert_allclose(partial_conjunction(p, 1), [0.03, 0.03])
    with pytest.raises(ValueError, match="expected 1 to 3"):
        partial_conjunction(p, 4)


def test_models_that_differ_opposite_ways_have_no_consensus() -> None:
    p = np.full((2, 2), 0.01)
    value, way = directed_consensus(p, np.array([[3.0, -3.0], [3.0, 3.0]]), 2)
    np.testing.assert_allclose(value, [0.01, 1.0])
    assert way[0] == 1
