"""The null of other images: what two models' maps have in common when the images are not the same."""

from collections.abc import Callable
from dataclasses import dataclass

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
            a: (s,) int64, the images i of whole groups, group by group (`whole_group_blocks`).
            b: (t,) int64, the images j: those of `a`, or of other groups.
            cross: some of the rows i to f(a_i, b_j) for all j, (r, t).
            first: (s,) bool, whether a_i counts.
            second: (t,) bool, whether b_j counts.
        """
        own = own_group(self._groups[a]) if a is b else None
        step = max(1, BLOCK // len(b))
        for start in range(0, len(a), step):
            rows = slice(start, min(start + step, len(a)))
            block = cross(rows)
            self._sums[0, a[rows]] += block @ second.astype(block.dtype)
            self._sums[1, b] += first[rows].astype(block.dtype) @ block
            if own is not None:
                self._leave_out(own, a, block, rows, first, second)
        self._counts[0, a] += second.sum()
        self._counts[1, b] += first.sum()
        if own is not None:
            self._counts[0, a] -= own.sums(second)
            self._counts[1, b] -= own.sums(first)

    def _leave_out(
        self, own: "OwnGroup", a: np.ndarray, block: np.ndarray, rows: slice, first: np.ndarray, second: np.ndarray
    ) -> None:
        """Subtract what images have brought that are of the same group, or the same image: `block` (r, s) of `rows`."""
        alone = own.alone[(own.alone >= rows.start) & (own.alone < rows.stop)]
        values = block[alone - rows.start, alone]
        self._sums[0, a[alone]] -= values * second[alone]
        self._sums[1, a[alone]] -= values * first[alone]
        for start, stop in own.several:
            some, whole = slice(max(start, rows.start), min(stop, rows.stop)), slice(start, stop)
            if some.start < some.stop:
                values = block[some.start - rows.start : some.stop - rows.start, whole]
                self._sums[0, a[some]] -= values @ second[whole].astype(np.float64)
                self._sums[1, a[whole]] -= first[some].astype(np.float64) @ values

    def mean(self) -> tuple[np.ndarray, np.ndarray]:
        """(n,) float64, and (n,) bool: whether there was any other image both ways."""
        return (self._sums / np.maximum(self._counts, 1)).mean(axis=0), (self._counts > 0).all(axis=0)


@dataclass(frozen=True)
class OwnGroup:
    """The groups of s images that stand group by group.

    Attributes:
        alone: (m,) int64, images that are a group by themselves.
        several: (start, stop) of every other group.
        codes: (s,) int64, each image's group, from 0.
    """

    alone: np.ndarray
    several: list[tuple[int, int]]
    codes: np.ndarray

    def sums(self, counts: np.ndarray) -> np.ndarray:
        """How many images of each image's own group count, itself among them: (s,) bool to (s,) int64."""
        return np.bincount(self.codes, weights=counts).astype(np.int64)[self.codes]


def own_group(groups: np.ndarray) -> OwnGroup:
    """The groups of images (s,) that stand group by group."""
    begins = np.append(True, groups[1:] != groups[:-1])
    starts = np.flatnonzero(begins)
    stops = np.append(starts[1:], len(groups))
    alone = stops - starts == 1
    return OwnGroup(
        starts[alone], list(zip(starts[~alone].tolist(), stops[~alone].tolist(), strict=True)), begins.cumsum() - 1
    )


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
