"""The null of other images: what two models' maps have in common when the images are not the same."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

BLOCK = 2**22  # elements of a block of the matrix of all pairs
PARTNERS = 4  # other images a map is held against where all pairs would cost too much


@dataclass(frozen=True)
class Others:
    """Images of one class, and which of them are other images to each other: those of another group.

    Attributes:
        groups: (n,) group of each image.
        same: two (s,) int64 arrays, all ordered pairs of images of one group, each image with itself among them.
    """

    groups: np.ndarray
    same: tuple[np.ndarray, np.ndarray]

    def all_pairs(
        self, cross: Callable[[slice], np.ndarray], first: np.ndarray, second: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Mean over all other images j of f(a_i, b_j) and f(a_j, b_i).

        Args:
            cross: a block of rows i to f(a_i, b_j) for all j, (b, n).
            first: (n,) bool, whether a_i counts.
            second: (n,) bool, whether b_j counts.

        Returns:
            (n,) float64 and (n,) bool, whether there was any other image both ways.
        """
        count = len(self.groups)
        sums = np.zeros((2, count))
        step = max(1, BLOCK // count)
        for start in range(0, count, step):
            rows = slice(start, min(start + step, count))
            block = cross(rows)
            sums[0, rows] = block @ second.astype(block.dtype)
            sums[1] += first[rows].astype(block.dtype) @ block
            mine = (self.same[0] >= rows.start) & (self.same[0] < rows.stop)
            i, j = self.same[0][mine], self.same[1][mine]
            own = block[i - start, j]
            sums[0] -= np.bincount(i, weights=own * second[j], minlength=count)
            sums[1] -= np.bincount(j, weights=own * first[i], minlength=count)
        counts = np.stack([self._elsewhere(second), self._elsewhere(first)])
        return (sums / np.maximum(counts, 1)).mean(axis=0), (counts > 0).all(axis=0)

    def sample(
        self, compare: Callable[[np.ndarray, np.ndarray], np.ndarray], first: np.ndarray, second: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """The same over a few other images, spread evenly over the class, where all pairs would cost too much.

        Args:
            compare: images i and j, (m,) int64 each, to f(a_i, b_j), (m,).
            first: (n,) bool, whether a_i counts.
            second: (n,) bool, whether b_j counts.
        """
        count = len(self.groups)
        sums, counts = np.zeros(count), np.zeros(count)
        order = np.argsort(self.groups, kind="stable")
        for turn in range(1, PARTNERS + 1):
            partner = np.empty(count, dtype=np.int64)
            partner[order] = np.roll(order, turn * count // (PARTNERS + 1))
            other = self.groups != self.groups[partner]
            for i, j, at in (
                ((images := np.flatnonzero(other)), partner[images], images),
                (partner[images], images, images),
            ):
                valid = first[i] & second[j]
                sums[at[valid]] += compare(i[valid], j[valid])
                counts[at[valid]] += 1
        return sums / np.maximum(counts, 1), counts > 0

    def _elsewhere(self, valid: np.ndarray) -> np.ndarray:
        """How many images of other groups count, for each image."""
        i, j = self.same
        return valid.sum() - np.bincount(i, weights=valid[j], minlength=len(self.groups))


def other_images(groups: np.ndarray) -> Others:
    """Prepare the images of one class, from the group of each, (n,)."""
    order = np.argsort(groups, kind="stable")
    _, starts, sizes = np.unique(groups[order], return_index=True, return_counts=True)
    first = [np.repeat(order[start : start + size], size) for start, size in zip(starts, sizes, strict=True)]
    second = [np.tile(order[start : start + size], size) for start, size in zip(starts, sizes, strict=True)]
    return Others(groups, (np.concatenate(first), np.concatenate(second)))
