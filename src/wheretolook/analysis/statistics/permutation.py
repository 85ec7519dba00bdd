"""Permutation tests of differences by place, consensus of models, and intervals over seeds.

Images of one patient are not exchangeable with another's. Within a group that has several classes the labels of its
images are permuted; groups of one class exchange their labels as wholes. Without groups each image is a group.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import lgamma

import numpy as np
from scipy.special import stdtrit

from wheretolook.analysis.results.schema import FEWEST_RELABELLINGS
from wheretolook.analysis.statistics.classification import group_sums


@dataclass(frozen=True)
class Design:
    """Which labels a permutation may exchange.

    Attributes:
        labels: (n,) int64, class of each image.
        whole: (n,) int64, number of the one-class group of each image, -1 in a group of several classes.
        whole_labels: (g,) int64, class of each one-class group.
        mixed: (m,) int64, images of groups with several classes, group by group.
        mixed_groups: (m,) int64, group of each of those.
    """

    labels: np.ndarray
    whole: np.ndarray
    whole_labels: np.ndarray
    mixed: np.ndarray
    mixed_groups: np.ndarray

    def relabel(self, count: int, generator: np.random.Generator) -> np.ndarray:
        """Random relabellings: (count, n) int64."""
        out = np.empty((count, len(self.labels)), dtype=np.int64)
        if len(self.whole_labels):
            exchanged = generator.permuted(np.tile(self.whole_labels, (count, 1)), axis=1)
            images = np.flatnonzero(self.whole >= 0)
            out[:, images] = exchanged[:, self.whole[images]]
        if len(self.mixed):
            # Groups stay in their order, images of one group come in a random one.
            order = np.argsort(self.mixed_groups + generator.random((count, len(self.mixed))), axis=1)
            out[:, self.mixed] = self.labels[self.mixed][order]
        return out

    def log_relabellings(self) -> float:
        """Natural logarithm of how many different relabellings there are."""
        parts = [self.whole_labels, *(self.labels[self.mixed[self.mixed_groups == g]] for g in set(self.mixed_groups))]
        return sum(_log_arrangements(part) for part in parts)

    def allows_a_p_value(self) -> bool:
        """Whether there are relabellings enough for a p-value to mean something."""
        return self.log_relabellings() >= np.log(FEWEST_RELABELLINGS)


def design_of(labels: np.ndarray, groups: np.ndarray) -> Design:
    """The design of labels (n,) and groups (n,)."""
    codes = np.unique(groups, return_inverse=True)[1]
    count = codes.max(initial=-1) + 1
    lowest, highest = np.full(count, labels.max(initial=0)), np.zeros(count, dtype=np.int64)
    np.minimum.at(lowest, codes, labels)
    np.maximum.at(highest, codes, labels)
    pure = lowest == highest
    number = np.where(pure, np.cumsum(pure) - 1, -1)
    mixed = np.flatnonzero(~pure[codes])
    mixed = mixed[np.argsort(codes[mixed], kind="stable")]
    return Design(np.asarray(labels, np.int64), number[codes], lowest[pure], mixed, codes[mixed])


def _log_arrangements(labels: np.ndarray) -> float:
    """Logarithm of the number of different orders of a list of labels."""
    return lgamma(len(labels) + 1) - sum(lgamma(count + 1) for count in np.bincount(labels))


LEVEL = 0.95


def mean_over_seeds(values: np.ndarray) -> tuple[float, float]:
    """Mean of a figure that each model has one of, and the lower end of its Student interval (95 %, two-sided).

    Args:
        values: (S,), S >= 2 models that differ in their seeds alone.
    """
    error = values.std(ddof=1) / np.sqrt(len(values))
    return float(values.mean()), float(values.mean() - _quantile(len(values)) * error)


def pairs_over_seeds(pairs: Mapping[tuple[str, str], float]) -> tuple[float, float]:
    """Mean of a figure of pairs of models, and the lower end of its interval, by a jackknife that leaves models out.

    Pairs that share a model are not independent; the models are. The mean over pairs is a U-statistic of them, whose
    jackknife error (Arvesen 1969) has Student's t with S - 1 degrees of freedom.

    Args:
        pairs: a figure for every pair of S >= 3 models.
    """
    models = sorted({name for pair in pairs for name in pair})
    count, mean = len(models), float(np.mean(list(pairs.values())))
    without = [np.mean([value for pair, value in pairs.items() if name not in pair]) for name in models]
    error = np.sqrt((count - 1) / count * np.sum((np.array(without) - np.mean(without)) ** 2))
    return mean, float(mean - _quantile(count) * error)


def _quantile(count: int) -> float:
    return float(stdtrit(count - 1, (1 + LEVEL) / 2))  # of Student's t; scipy.stats takes a second to import


def partial_conjunction(p: np.ndarray, at_least: int) -> np.ndarray:
    """P-value of "fewer than u of the M models differ here" (partial conjunction, Benjamini and Heller 2008).

    Args:
        p: (M, ...) float64, a p-value of each model at each place; models may depend on each other.
        at_least: u, 1 to M. With u = M it is the largest p.

    Returns:
        (...) float64, (M - u + 1) times the u-th smallest p, at most 1.
    """
    models = len(p)
    if not 1 <= at_least <= models:
        raise ValueError(f"expected 1 to {models} models, found {at_least}")
    return np.minimum((models - at_least + 1) * np.sort(p, axis=0)[at_least - 1], 1.0)


def directed_consensus(p: np.ndarray, t: np.ndarray, at_least: int) -> tuple[np.ndarray, np.ndarray]:
    """Consensus of models that differ the same way.

    Args:
        p: (M, ...) two-sided p-values.
        t: (M, ...) statistics, whose sign is the way.
        at_least: u models.

    Returns:
        (...) p-value of the better way, and (...) int8, which way that is: 1 more, -1 less.
    """
    more, less = (partial_conjunction(np.where(sign * t > 0, p, 1.0), at_least) for sign in (1, -1))
    return np.minimum(more, less), np.where(more <= less, 1, -1).astype(np.int8)


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
