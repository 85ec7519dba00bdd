import numpy as np
import pytest
from scipy.stats import binomtest, bootstrap

from wheretolook.analysis.statistics.bootstrap import mean_intervals
from wheretolook.analysis.statistics.classification import effective_number, wilson_interval


def interval(values: np.ndarray, groups: np.ndarray, seed: int = 0, resamples: int = 999) -> tuple[float, float]:
    means = mean_intervals(values[:, None], np.ones((1, 1), bool), groups, resamples, seed)
    return float(means.low[0]), float(means.high[0])


def test_mean_and_spread_are_numpys_over_what_counts() -> None:
    values = np.arange(24, dtype=float).reshape(12, 2)
    valid = np.ones((12, 2), bool)
    valid[:3, 1] = False
    means = mean_intervals(values, valid, np.arange(12), 199, 0)
    np.testing.assert_allclose(means.mean, [values[:, 0].mean(), values[3:, 1].mean()])
    np.testing.assert_allclose(means.sd, [values[:, 0].std(ddof=1), values[3:, 1].std(ddof=1)])
    np.testing.assert_array_equal(means.images, [12, 9])
    np.testing.assert_array_equal(means.bounded, [True, False])


def test_interval_is_near_scipys_for_plain_data() -> None:
    values = np.random.default_rng(1).normal(size=200)
    wanted = bootstrap((values,), np.mean, method="BCa", rng=np.random.default_rng(0)).confidence_interval
    low, high = interval(values, np.arange(200), resamples=1999)
    assert low == pytest.approx(wanted.low, abs=0.02)
    assert high == pytest.approx(wanted.high, abs=0.02)


def test_images_that_are_copies_do_not_narrow_the_interval() -> None:
    values = np.random.default_rng(2).normal(size=40)
    low, high = interval(np.repeat(values, 25), np.repeat(np.arange(40), 25))
    alone = interval(values, np.arange(40))
    assert high - low == pytest.approx(alone[1] - alone[0], rel=0.05)
    careless = interval(np.repeat(values, 25), np.arange(1000))
    assert careless[1] - careless[0] < 0.3 * (high - low)


def test_equal_values_have_an_interval_without_width() -> None:
    assert interval(np.full(30, 0.7), np.arange(30)) == pytest.approx((0.7, 0.7))


def test_interval_stays_within_what_is_possible() -> None:
    values = np.r_[np.zeros(29), 1.0]
    means = mean_intervals(values[:, None], np.ones((1, 1), bool), np.arange(30), 999, 0, (0.0, 1.0))
    assert 0 <= means.low[0] <= means.mean[0] <= means.high[0] <= 1


def test_few_misses_give_an_interval_of_use() -> None:
    values = np.r_[np.ones(59), 0.0][:, None]
    means = mean_intervals(values, np.ones((1, 1), bool), np.arange(60), 999, 0, (0.0, 1.0))
    assert (means.low[0], means.high[0]) == pytest.approx(wilson_interval(59 / 60, 60))
    assert means.bounded[0]
    assert not mean_intervals(values, np.ones((1, 1), bool), np.arange(60), 999, 0).bounded[0]


def test_difference_that_is_almost_always_zero_has_an_interval_around_it() -> None:
    means = mean_intervals(np.zeros((75, 1)), np.ones((1, 1), bool), np.arange(75), 999, 0, (-1.0, 1.0))
    assert means.high[0] == -means.low[0] == pytest.approx(wilson_interval(0.0, 75)[1])


def test_wilson_interval_is_that_of_scipy() -> None:
    for hits, trials in ((0, 20), (3, 20), (59, 60)):
        wanted = binomtest(hits, trials).proportion_ci(method="wilson")
        assert wilson_interval(hits / trials, trials) == pytest.approx((wanted.low, wanted.high), abs=1e-12)


def test_groups_of_unequal_size_count_by_their_effective_number() -> None:
    one_patient = np.r_[np.zeros(60, int), np.arange(1, 29)]
    values = np.random.default_rng(0).normal(size=(88, 1))
    means = mean_intervals(values, np.ones((1, 1), bool), one_patient, 199, 0)
    assert (int(means.groups[0]), bool(means.bounded[0])) == (29, False)
    assert effective_number(np.array([60, *[1] * 28])) == pytest.approx(88**2 / 3628)


def test_interval_of_unequal_groups_covers_the_true_mean() -> None:
    groups = np.repeat(np.arange(24), [12] * 4 + [4] * 10 + [1] * 10)
    rng = np.random.default_rng(0)
    values = rng.normal(size=(400, 24))[:, groups] + rng.normal(size=(400, len(groups)))
    ends = [interval(row, groups, seed, 199) for seed, row in enumerate(values)]
    covered = np.mean([low <= 0 <= high for low, high in ends])
    assert 0.90 <= covered <= 0.985  # 93 to 97 %, give or take three standard errors


@pytest.mark.parametrize("groups", [1, 5])
def test_interval_covers_the_true_mean(groups: int) -> None:
    """Skewed figures, alone and in groups with an intraclass correlation of a half: 300 simulations, a short form."""
    rng = np.random.default_rng(groups)
    hits = 0
    for seed in range(300):
        shared = np.repeat(rng.normal(size=100 // groups), groups)
        figures = np.tanh(0.8 + 0.7 * (shared + rng.normal(size=100)) / np.sqrt(2))
        low, high = interval(figures, np.arange(100) // groups, seed, resamples=399)
        hits += low <= TRUE_MEAN <= high
    assert 0.915 <= hits / 300 <= 0.985  # 95 %, give or take three standard errors


TRUE_MEAN = float(np.tanh(0.8 + 0.7 * np.random.default_rng(9).normal(size=2_000_000)).mean())
