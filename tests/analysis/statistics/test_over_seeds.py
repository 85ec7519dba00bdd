from itertools import combinations

import numpy as np
import pytest
from scipy.stats import ttest_1samp

from wheretolook.analysis.statistics.over_seeds import mean_over_seeds, pairs_over_seeds, places_over_seeds

RNG = np.random.default_rng(0)


def pairs_of(models: np.ndarray, noise: np.ndarray) -> dict[tuple[str, str], float]:
    """A figure of each pair that is its models' mean, and noise of its own."""
    numbered = enumerate(combinations(range(len(models)), 2))
    return {(str(a), str(b)): (models[a] + models[b]) / 2 + noise[i] for i, (a, b) in numbered}


def test_mean_over_seeds_has_students_interval() -> None:
    values = RNG.normal(1, 0.2, 7)
    mean, low = mean_over_seeds(values)
    wanted = ttest_1samp(values, 0).confidence_interval(0.95).low
    assert (mean, low) == (pytest.approx(values.mean()), pytest.approx(wanted))


def test_pairs_that_are_the_mean_of_their_models_have_the_models_own_interval() -> None:
    models = RNG.normal(0.5, 0.1, 8)
    assert pairs_over_seeds(pairs_of(models, np.zeros(28))) == pytest.approx(mean_over_seeds(models))


def test_pairs_counted_as_independent_would_be_too_sure() -> None:
    """The lower end lies above the truth in at most 2.5 % of studies of six seeds; of naive ones in many more."""
    wrong = np.zeros(2)
    for _ in range(600):
        found = pairs_of(RNG.normal(0.3, 0.1, 6), RNG.normal(0, 0.05, 15))
        wrong += pairs_over_seeds(found)[1] > 0.3, mean_over_seeds(np.array(list(found.values())))[1] > 0.3
    assert wrong[0] / 600 <= 0.025 + 3 * np.sqrt(0.025 * 0.975 / 600)
    assert wrong[1] / 600 > 0.05


def test_signs_of_six_models_can_be_told_from_chance_and_of_five_not() -> None:
    alike = np.column_stack([np.linspace(1, 1.2, 6), RNG.normal(size=6)])
    assert places_over_seeds(alike)[0] == pytest.approx(2 / 2**6)
    assert places_over_seeds(alike[:5])[0] == pytest.approx(2 / 2**5)
    assert 2 / 2**5 > 0.05 >= 2 / 2**6


def test_flips_reject_five_in_a_hundred_true_nulls_over_all_places() -> None:
    hits = sum(places_over_seeds(RNG.normal(size=(7, 9))).min() <= 0.05 for _ in range(400))
    assert hits / 400 <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 400)


def test_many_seeds_draw_their_flips() -> None:
    values = np.column_stack([RNG.normal(1, 0.3, 14), RNG.normal(0, 1, 14)])
    p = places_over_seeds(values)
    assert p[0] < 0.01
    assert p[1] > 0.05


def test_values_that_are_all_zero_differ_nowhere() -> None:
    np.testing.assert_array_equal(places_over_seeds(np.zeros((6, 2))), [1.0, 1.0])
