import numpy as np
import pytest
from scipy.stats import binomtest

from wheretolook.analysis.probing.effects import cost_of, difference_of, losses, share_with_interval


def test_a_share_of_independent_images_has_wilsons_interval_with_students_quantile() -> None:
    hits, groups = np.arange(1000) < 130, np.arange(1000)
    share, low, high = share_with_interval(hits, groups)
    assert share == 0.13
    wilson = binomtest(130, 1000).proportion_ci(method="wilson")
    assert (low, high) == pytest.approx(tuple(wilson), abs=1e-3)


def test_a_share_of_none_has_a_width_and_too_few_images_no_interval() -> None:
    assert share_with_interval(np.zeros(50, bool), np.arange(50))[2] > 0.05
    assert share_with_interval(np.zeros(19, bool), np.arange(19)) == (0, None, None)
    assert share_with_interval(np.zeros(50, bool), np.arange(50) // 10) == (0, None, None)


@pytest.mark.parametrize(("groups", "a_group", "chance"), [(25, 1, 0.2), (40, 5, 0.5)])
def test_interval_of_a_share_covers_the_truth_where_images_of_a_group_are_alike(groups, a_group, chance) -> None:
    generator, hits, runs = np.random.default_rng(0), 0, 1000
    own = np.repeat(np.arange(groups), a_group)
    for _ in range(runs):
        copied = generator.random((groups, 1)) < chance
        alone = generator.random((groups, a_group)) < chance
        same = generator.random((groups, a_group)) < 0.7
        _, low, high = share_with_interval(np.where(same, copied, alone).ravel(), own)
        hits += low <= chance <= high
    assert 0.93 * runs <= hits <= 0.985 * runs


def test_losses_are_averaged_over_draws() -> None:
    whole, after = np.array([[2.0, 0.0]]), np.array([[[2.0, 0.0], [0.0, 1.0]]])
    flips, lost = losses(whole, after, np.array([0]))
    assert flips == [0.5]
    assert lost == pytest.approx([(0 + 3) / 2])


def test_excess_is_paired_over_images_that_have_a_control() -> None:
    cost = np.ones(30), np.full(30, 2.0)
    control = np.zeros(30), np.where(np.arange(30) < 25, 0.5, 99)
    row = cost_of(cost, control, np.arange(30) < 25, np.arange(30), 199, 0)
    assert (row["excess"], row["excess_flips"], row["control_images"]) == (1.5, 1, 25)
    assert cost_of(cost, control, np.arange(30) < 25, np.arange(30), 199, 0, kept=True)["excess"] == -1.5
    assert cost_of(cost, control, np.zeros(30, bool), np.arange(30), 199, 0)["excess_low"] is None


def test_difference_of_two_means_is_as_wide_as_their_intervals_say() -> None:
    assert difference_of((3.0, 2.7, 3.4), (1.0, 0.6, 1.3)) == pytest.approx(
        (2, 2 - np.hypot(0.3, 0.3), 2 + np.hypot(0.4, 0.4))
    )
    assert difference_of((3.0, None, None), (1.0, 0.6, 1.3)) == (2, None, None)
