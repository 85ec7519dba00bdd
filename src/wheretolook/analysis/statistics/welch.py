"""Welch's t at every place of a map; p-values adjusted for all places and classes by permutation and by sign flips.

The permutation is exact where the classes have one and the same distribution. Where their means are equal but their
spreads are not, it rejects too often if the smaller class varies more. The wild bootstrap flips the signs of the
groups' residuals and keeps each class's own spread (Cameron, Gelbach and Miller 2008), but assumes symmetry. The
larger of the two p-values counts.
"""

from dataclasses import dataclass

import numpy as np

from wheretolook.analysis.statistics.bootstrap import group_sums
from wheretolook.analysis.statistics.relabel import Design

BLOCK = 2**22  # elements of a block of relabelled indicators


@dataclass(frozen=True)
class PlaceTest:
    """A test at each place.

    Attributes:
        difference: (R, c) float64, mean of the class less mean of the rest.
        t: (R, c) float64, Welch's t; 0 where a group has fewer than two values or none varies.
        p: (R, c) float64, adjusted for all places and classes, the larger of the two tests; None where there are too
            few relabellings.
        permutations: relabellings drawn, the observed labels among them.
    """

    difference: np.ndarray
    t: np.ndarray
    p: np.ndarray | None
    permutations: int


def place_test(
    values: np.ndarray, classes: list[int], design: Design, groups: np.ndarray, permutations: int, seed: int
) -> PlaceTest:
    """Does the mean of a class differ from that of the rest at a place? (largest |t|: Westfall and Young 1993)

    The values of a class are one fixed contrast for the images of both groups. Maps of each image's own class would
    depend on the label that is permuted.

    Args:
        values: (R, n, c) float32, for each of R classes the values of all n images at c places.
        classes: the R classes, as they stand in the labels.
        design: labels of the images, and what may be exchanged for what.
        groups: (n,) group of each image.
        permutations: relabellings to draw, and flips of signs, the observed one among them.
        seed: of the relabellings and flips.
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
    p = np.maximum(reached, _wild_reached(centred, own[0], groups, permutations, seed)) / permutations
    return PlaceTest(steps, t[0], p, permutations)


def _wild_reached(values: np.ndarray, own: np.ndarray, groups: np.ndarray, draws: int, seed: int) -> np.ndarray:
    """How often the largest |t| of residuals with flipped signs reaches the observed one, the observed included.

    Args:
        values: (R, n, c) float32, standardised.
        own: (R, n) bool, images of each class.
        groups: (n,) integers; the residuals of a group are flipped together.
        draws: of flips, the observed one among them.
        seed: of the flips.

    Returns:
        (R, c) float64, 1 to `draws`.
    """
    codes = np.unique(groups, return_inverse=True)[1]
    count = codes.max(initial=-1) + 1
    parts = [_by_group(each.astype(np.float64), member, codes, count) for each, member in zip(values, own, strict=True)]
    observed = np.stack([t for t, _ in parts])
    generator = np.random.default_rng([seed, 1])
    reached = np.ones(observed.shape)
    step = max(1, BLOCK // max(1, count))
    for start in range(1, draws, step):
        size = min(step, draws - start)
        flips = generator.integers(0, 2, (size, count), dtype=np.int8).astype(np.float32) * 2 - 1
        largest = np.zeros(size)
        for _, part in parts:
            largest = np.maximum(largest, np.abs(_flipped_t(flips, part)).max(axis=1))
        reached += (np.sort(largest)[:, None, None] >= np.abs(observed) * (1 - 1e-6)).sum(axis=0)
    return reached


def _by_group(values: np.ndarray, member: np.ndarray, codes: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Observed t, (c,), whose unit is the group; and what flips need: (G, 5, c) sums of each group.

    Those are the group's share of the difference of residual means, of the two means, and of each side's images.
    """
    sides, difference = [], 0.0
    for side, sign in ((member, 1), (~member, -1)):
        size = max(int(side.sum()), 1)
        mean = values[side].sum(axis=0) / size
        difference = difference + sign * mean
        residuals = group_sums(np.where(side[:, None], values - mean, 0), codes, count) / size
        images = np.bincount(codes, weights=side, minlength=count)[:, None] / size
        sides.append((residuals, np.broadcast_to(images, residuals.shape)))
    (first, own_images), (second, rest_images) = sides
    shares = first - second
    error = np.sqrt((shares**2).sum(axis=0))
    t = np.where(error > 0, difference / np.where(error > 0, error, 1), 0)
    return t, np.stack([shares, first, second, own_images, rest_images], axis=1)


def _flipped_t(flips: np.ndarray, sums: np.ndarray) -> np.ndarray:
    """t of residuals with flipped signs: flips (B, G), sums (G, 5, c), to (B, c)."""
    shares, first, second, own, rest = sums.transpose(1, 0, 2)
    columns = np.concatenate([first, second, shares * own, shares * rest], axis=1).astype(np.float32)
    a, b, of_own, of_rest = np.split((flips @ columns).astype(np.float64), 4, axis=1)
    squares = (shares**2).sum(axis=0) - 2 * a * of_own + 2 * b * of_rest
    squares += a**2 * (own**2).sum(axis=0) + b**2 * (rest**2).sum(axis=0) - 2 * a * b * (own * rest).sum(axis=0)
    error = np.sqrt(np.maximum(squares, 1e-12 * (shares**2).sum(axis=0)))
    return np.where(error > 0, (a - b) / np.where(error > 0, error, 1), 0)


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
