import tracemalloc

import numpy as np
import pytest

from wheretolook.analysis.agreement import agreement_baselines as others_module
from wheretolook.analysis.agreement.agreement_baselines import OtherImages, partners

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


@pytest.mark.parametrize("rows", [100, 4, 1])
@pytest.mark.parametrize("blocks", [[[1, 2, 3, 0, 4, 5]], [[1, 2], [3], [0, 4, 5]]], ids=["one block", "three blocks"])
def test_all_pairs_skip_the_own_group_and_what_does_not_count(
    blocks: list[list[int]], rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where a group is taken in some rows at a time."""
    monkeypatch.setattr(others_module, "BLOCK", 6 * rows)
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


def test_one_large_group_takes_no_more_memory_than_its_blocks() -> None:
    """A slide with thousands of tiles: all their pairs would be tens of millions of places."""
    count = 3000
    values = np.random.default_rng(1).normal(size=(2, count)).astype(np.float32)
    everyone, all_of_it = np.ones(count, bool), np.arange(count)
    others = OtherImages(np.append(np.zeros(count - 1, int), 1))
    tracemalloc.start()
    others.add(all_of_it, all_of_it, lambda rows: np.multiply.outer(values[0, rows], values[1]), everyone, everyone)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 80 * 2**20
    found, valid = others.mean()
    assert valid.all()
    alone = (values[0, -1] * values[1, :-1].mean() + values[0, :-1].mean() * values[1, -1]) / 2
    assert found[-1] == pytest.approx(alone, abs=1e-6)
    np.testing.assert_allclose(found[0], (values[0, 0] * values[1, -1] + values[0, -1] * values[1, 0]) / 2, atol=1e-4)


def test_one_group_has_no_other_images() -> None:
    others, everyone = OtherImages(np.zeros(3, int)), np.ones(3, bool)
    all_of_it = np.arange(3)
    others.add(all_of_it, all_of_it, lambda rows: MATRIX[rows, :3], everyone, everyone)
    assert not others.mean()[1].any()
