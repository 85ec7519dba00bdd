import numpy as np
import pytest

from wheretolook.analysis.others import OtherImages, partners

GROUPS = np.array([3, 1, 1, 2, 3, 3])
A, B = np.random.default_rng(0).normal(size=(2, 6))
MATRIX = np.subtract.outer(A, B) ** 2


def by_hand(first: np.ndarray, second: np.ndarray) -> list[float]:
    found = []
    for i in range(6):
        ab = [MATRIX[i, j] for j in range(6) if GROUPS[i] != GROUPS[j] and second[j]]
        ba = [MATRIX[j, i] for j in range(6) if GROUPS[i] != GROUPS[j] and first[j]]
        found.append((np.mean(ab) + np.mean(ba)) / 2)
    return found


@pytest.mark.parametrize("blocks", [[[0, 1, 2, 3, 4, 5]], [[1, 2], [3], [0, 4, 5]]], ids=["one block", "three blocks"])
def test_all_pairs_skip_the_own_group_and_what_does_not_count(blocks: list[list[int]]) -> None:
    first, second = np.array([1, 1, 0, 1, 1, 1], bool), np.array([1, 0, 1, 1, 1, 1], bool)
    others, arrays = OtherImages(GROUPS), [np.array(block) for block in blocks]
    for a in arrays:
        for b in arrays:
            others.add(a, b, lambda rows, a=a, b=b: MATRIX[np.ix_(a[rows], b)], first[a], second[b])
    values, valid = others.mean()
    np.testing.assert_allclose(values, by_hand(first, second))
    assert valid.all()


def test_partners_are_spread_over_the_class() -> None:
    found = partners(np.arange(10))
    assert found.shape == (4, 10)
    assert all(len(set(column)) == 4 for column in found.T)
    assert (found != np.arange(10)).all()


def test_one_group_has_no_other_images() -> None:
    others, everyone = OtherImages(np.zeros(3, int)), np.ones(3, bool)
    all_of_it = np.arange(3)
    others.add(all_of_it, all_of_it, lambda rows: MATRIX[rows, :3], everyone, everyone)
    assert not others.mean()[1].any()
