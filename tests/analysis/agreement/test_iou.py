import numpy as np
import pytest

from wheretolook.analysis.agreement.measures import cross_overlap, overlap, select, top_fifth

RNG = np.random.default_rng(0)
A, B = RNG.normal(size=(2, 600, 7, 7)).astype(np.float32)


def test_highest_fifth_is_a_fifth_exactly_and_ties_share_the_rest() -> None:
    maps = np.array([[[5, 4, 4, 4, 0], [0, 0, 0, 0, 0]]], dtype=np.float32)
    filled, _, _, varies = top_fifth(maps)
    np.testing.assert_allclose(filled, [[1, 1 / 3, 1 / 3, 1 / 3, 0, 0, 0, 0, 0, 0]], rtol=1e-6)
    assert varies.all()
    np.testing.assert_allclose(top_fifth(A)[0].sum(axis=1), 49 / 5, rtol=1e-6)


def test_identical_negated_and_independent_maps() -> None:
    a, b, negated = top_fifth(A), top_fifth(B), top_fifth(-A)
    np.testing.assert_allclose(overlap(a, a), 1, rtol=1e-6)
    np.testing.assert_array_equal(overlap(a, negated), 0)
    assert overlap(a, b).mean() == pytest.approx(0.11, abs=0.03)


def test_overlap_by_hand() -> None:
    first = top_fifth(np.arange(10, dtype=np.float32).reshape(1, 2, 5))
    second = top_fifth(np.array([[[0, 0, 0, 0, 0], [0, 0, 0, 2, 1]]], dtype=np.float32))
    third = top_fifth(np.array([[[3, 0, 0, 0, 0], [0, 0, 0, 0, 1]]], dtype=np.float32))
    assert overlap(first, second) == 1
    assert overlap(first, third) == pytest.approx(1 / 3)


def test_all_pairs_are_the_pairs_one_by_one_also_with_ties() -> None:
    a, b = top_fifth(np.round(A[:9])), top_fifth(np.maximum(B[:12], 0.8))
    wanted = [[overlap(select(a, i), select(b, j)) for j in range(12)] for i in range(9)]
    np.testing.assert_allclose(cross_overlap(a, b), wanted, atol=1e-6)


def test_all_models_are_the_pairs_of_models_one_by_one() -> None:
    a, b = (top_fifth(np.round(maps[:60]).reshape(20, 3, 7, 7)) for maps in (A, B))
    found = cross_overlap(a, b)
    for i in range(3):
        for j in range(3):
            np.testing.assert_allclose(
                found[:, i, j], overlap(select(a, np.s_[:, i]), select(b, np.s_[:, j])), atol=1e-6
            )
