import numpy as np
import pytest
import scipy.stats

from wheretolook.analysis.grid import average_ranks, correlate, correlate_maps, standardise

RNG = np.random.default_rng(0)
A, B = RNG.normal(size=(2, 600, 49)).astype(np.float32)


@pytest.mark.parametrize("ranked", [False, True])
def test_correlation_is_scipys(ranked: bool) -> None:
    oracle = scipy.stats.spearmanr if ranked else scipy.stats.pearsonr
    coarse = np.round(A[:40]), np.round(B[:40] + A[:40])  # with ties
    wanted = [oracle(a, b).statistic for a, b in zip(*coarse, strict=True)]
    found, valid = correlate(*coarse, ranked=ranked)
    np.testing.assert_allclose(found, wanted, atol=1e-6)
    assert valid.all()


@pytest.mark.parametrize("ranked", [False, True])
def test_identical_negated_and_independent_maps(ranked: bool) -> None:
    assert correlate(A, A, ranked)[0] == pytest.approx(1, abs=1e-5)
    assert correlate(A, -A, ranked)[0] == pytest.approx(-1, abs=1e-5)
    assert correlate(A, B, ranked)[0].mean() == pytest.approx(0, abs=0.05)


def test_ranks_of_ties_are_their_mean_rank() -> None:
    rows = np.array([[3.0, 1.0, 3.0, 2.0], [5.0, 5.0, 5.0, 5.0]], dtype=np.float32)
    np.testing.assert_array_equal(average_ranks(rows), [[3.5, 1, 3.5, 2], [2.5, 2.5, 2.5, 2.5]])
    many = np.round(A * 2)
    np.testing.assert_array_equal(average_ranks(many), scipy.stats.rankdata(many, axis=-1))


def test_constant_map_has_no_correlation() -> None:
    constant = np.full((1, 49), 1000.1, dtype=np.float32)
    assert not correlate(constant, A[:1])[1].any()
    assert not standardise(constant)[1].any()


def test_maps_of_unequal_size_meet_on_the_coarser_of_both_grids_axis_by_axis() -> None:
    first, second = RNG.normal(size=(3, 4, 2)).astype(np.float32), RNG.normal(size=(3, 2, 6)).astype(np.float32)
    a, b = first.reshape(3, 2, 2, 2).mean(axis=2), second.reshape(3, 2, 2, 3).mean(axis=3)
    found, valid = correlate_maps(first, second)
    wanted = [scipy.stats.pearsonr(x.ravel(), y.ravel()).statistic for x, y in zip(a, b, strict=True)]
    np.testing.assert_allclose(found, wanted, atol=1e-6)
    assert valid.tolist() == [True] * 3
    assert correlate_maps(first, np.ones_like(second))[1].tolist() == [False] * 3, "a constant map has none"
