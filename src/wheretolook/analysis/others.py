"""The null of other images: what two models' maps have in common when the images are not the same."""

from collections.abc import Callable

import numpy as np

BLOCK = 2**22  # elements of a block of the matrix of all pairs
PARTNERS = 4  # other images a map is held against where all pairs would cost too much


class OtherImages:
    """Mean over all other images j of f(a_i, b_j) and f(a_j, b_i), for each image i of one class, block by block.

    Other images are those of another group.

    Args:
        groups: (n,) group of each image.
    """

    def __init__(self, groups: np.ndarray) -> None:
        self._groups = groups
        self._sums = np.zeros((2, len(groups)))
        self._counts = np.zeros((2, len(groups)), dtype=np.int64)

    def add(
        self,
        a: np.ndarray,
        b: np.ndarray,
        cross: Callable[[slice], np.ndarray],
        first: np.ndarray,
        second: np.ndarray,
    ) -> None:
        """Take in each image of one block with each of another. In the end each pair of blocks must have come once.

        Args:
            a: (s,) int64, the images i of whole groups.
            b: (t,) int64, the images j: those of `a`, or of other groups.
            cross: some of the rows i to f(a_i, b_j) for all j, (r, t).
            first: (s,) bool, whether a_i counts.
            second: (t,) bool, whether b_j counts.
        """
        i, j = same_groups(self._groups[a]) if a is b else (np.zeros(0, np.int64), np.zeros(0, np.int64))
        step = max(1, BLOCK // len(b))
        for start in range(0, len(a), step):
            rows = slice(start, min(start + step, len(a)))
            block = cross(rows)
            self._sums[0, a[rows]] += block @ second.astype(block.dtype)
            self._sums[1, b] += first[rows].astype(block.dtype) @ block
            mine = (i >= rows.start) & (i < rows.stop)
            own = block[i[mine] - start, j[mine]]
            self._sums[0, a] -= np.bincount(i[mine], weights=own * second[j[mine]], minlength=len(a))
            self._sums[1, b] -= np.bincount(j[mine], weights=own * first[i[mine]], minlength=len(b))
        self._counts[0, a] += second.sum() - np.bincount(i, weights=second[j], minlength=len(a)).astype(np.int64)
        self._counts[1, b] += first.sum() - np.bincount(j, weights=first[i], minlength=len(b)).astype(np.int64)

    def mean(self) -> tuple[np.ndarray, np.ndarray]:
        """(n,) float64, and (n,) bool: whether there was any other image both ways."""
        return (self._sums / np.maximum(self._counts, 1)).mean(axis=0), (self._counts > 0).all(axis=0)


def same_groups(groups: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """All ordered pairs of images of one group, each image with itself among them: two int64 arrays."""
    order = np.argsort(groups, kind="stable")
    _, starts, sizes = np.unique(groups[order], return_index=True, return_counts=True)
    first = [np.repeat(order[start : start + size], size) for start, size in zip(starts, sizes, strict=True)]
    second = [np.tile(order[start : start + size], size) for start, size in zip(starts, sizes, strict=True)]
    return np.concatenate(first), np.concatenate(second)


def partners(groups: np.ndarray) -> np.ndarray:
    """A few other images for each, spread evenly over the class, where all pairs would cost too much.

    Args:
        groups: (n,) group of each image.

    Returns:
        (PARTNERS, n) int64; an image of the same group is none, and must be left out.
    """
    order = np.argsort(groups, kind="stable")
    found = np.empty((PARTNERS, len(groups)), dtype=np.int64)
    for turn in range(PARTNERS):
        found[turn, order] = np.roll(order, (turn + 1) * len(groups) // (PARTNERS + 1))
    return found
