import numpy as np

from wheretolook.analysis.others import other_images

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


def test_all_pairs_skip_the_own_group_and_what_does_not_count() -> None:
    first, second = np.array([1, 1, 0, 1, 1, 1], bool), np.array([1, 0, 1, 1, 1, 1], bool)
    values, valid = other_images(GROUPS).all_pairs(lambda rows: MATRIX[rows], first, second)
    np.testing.assert_allclose(values, by_hand(first, second))
    assert valid.all()


def test_sample_uses_other_groups_only() -> None:
    seen = []

    def compare(i: np.ndarray, j: np.ndarray) -> np.ndarray:
        seen.extend(zip(GROUPS[i], GROUPS[j], strict=True))
        return MATRIX[i, j]

    everyone = np.ones(6, bool)
    other_images(GROUPS).sample(compare, everyone, everyone)
    assert seen
    assert all(a != b for a, b in seen)


def test_one_group_has_no_other_images() -> None:
    everyone = np.ones(3, bool)
    assert not other_images(np.zeros(3, int)).all_pairs(lambda rows: MATRIX[rows, :3], everyone, everyone)[1].any()
