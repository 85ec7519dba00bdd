"""Welch's t at every place of a map, and the permutation of its largest value over places and classes."""

from dataclasses import dataclass

import numpy as np

from wheretolook.analysis.statistics.relabel import Design

BLOCK = 2**22  # elements of a block of relabelled indicators


@dataclass(frozen=True)
class PlaceTest:
    """A test at each place.

    Attributes:
        difference: (R, c) float64, mean of the class less mean of the rest.
        t: (R, c) float64, Welch's t; 0 where a group has fewer than two values or none varies.
        p: (R, c) float64, adjusted for all places and classes; None where there are too few relabellings.
        permutations: relabellings drawn, the observed labels among them.
    """

    difference: np.ndarray
    t: np.ndarray
    p: np.ndarray | None
    permutations: int


def place_test(values: np.ndarray, classes: list[int], design: Design, permutations: int, seed: int) -> PlaceTest:
    """Does a class differ from the rest at a place? (largest |t|: Westfall and Young 1993)

    The values of a class are one fixed contrast for the images of both groups. Maps of each image's own class would
    depend on the label that is permuted.

    Args:
        values: (R, n, c) float32, for each of R classes the values of all n images at c places.
        classes: the R classes, as they stand in the labels.
        design: labels of the images, and what may be exchanged for what.
        permutations: relabellings to draw, the observed one among them.
        seed: of the relabellings.
    """
    centred = _standardised(values)
    own = np.stack([design.labels == k for k in classes])[None]
    t, steps = _welch(centred, own), _means(values, own[0])
    if not design.allows_a_p_value():
        return PlaceTest(steps, t[0], None, 0)
    generator = np.random.default_rng(seed)
    reached = np.ones(t[0].shape)
    step = max(1, BLOCK // max(1, values.shape[1]))
    for start in range(1, permutations, step):
        labels = design.relabel(min(step, permutations - start), generator)
        largest = np.zeros(len(labels))
        for r, k in enumerate(classes):
            drawn = _welch(centred[r : r + 1], (labels == k)[:, None])
            largest = np.maximum(largest, np.abs(drawn).max(axis=(1, 2)))
        # A tie up to rounding counts as reached.
        reached += (np.sort(largest)[:, None, None] >= np.abs(t[0]) * (1 - 1e-6)).sum(axis=0)
    return PlaceTest(steps, t[0], reached / permutations, permutations)


def _standardised(values: np.ndarray) -> np.ndarray:
    """Values with mean 0 and spread 1 at each place (t does not change): float32."""
    centred = values - values.sum(axis=1, keepdims=True).astype(np.float64) / values.shape[1]
    spread = np.sqrt((centred**2).sum(axis=1, keepdims=True) / values.shape[1])
    return (centred / np.where(spread > 0, spread, 1)).astype(np.float32)


def _means(values: np.ndarray, own: np.ndarray) -> np.ndarray:
    """Mean of each class less mean of the rest, (R, c): values (R, n, c), own (R, n)."""
    out = []
    for each, member in zip(values.astype(np.float64), own, strict=True):
        sides = [(each * side[:, None]).sum(axis=0) / max(side.sum(), 1) for side in (member, ~member)]
        out.append(sides[0] - sides[1])
    return np.stack(out)


def _welch(values: np.ndarray, own: np.ndarray) -> np.ndarray:
    """Welch's t for B labellings: values (R, n, c) standardised, own (B, R, n) bool, to (B, R, c) float64."""
    member = own.transpose(1, 0, 2).astype(np.float32)  # (R, B, n)
    squares = values * values
    n_own, n_all = own.sum(axis=2).T[:, :, None], values.shape[1]
    sums, sums2 = (member @ values).astype(np.float64), (member @ squares).astype(np.float64)
    whole, whole2 = values.sum(axis=1, dtype=np.float64)[:, None], squares.sum(axis=1, dtype=np.float64)[:, None]
    mean, error = _mean_and_error(n_own, sums, sums2)
    other_mean, other_error = _mean_and_error(n_all - n_own, whole - sums, whole2 - sums2)
    total = error + other_error
    defined = (np.minimum(n_own, n_all - n_own) >= 2) & (total > 0)
    t = np.where(defined, (mean - other_mean) / np.sqrt(np.where(defined, total, 1)), 0)
    return t.transpose(1, 0, 2)


def _mean_and_error(count: np.ndarray, total: np.ndarray, squares: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean, and squared standard error of the mean."""
    count = count.astype(np.float64)
    mean = total / np.maximum(count, 1)
    variance = np.maximum(squares - total * mean, 0) / np.maximum(count - 1, 1)
    return mean, variance / np.maximum(count, 1)
