"""Groups of images, and bootstrap intervals of means that resample them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.special import stdtrit

from wheretolook.analysis.results.schema import FEWEST_GROUPS
from wheretolook.analysis.statistics.classification import LEVEL, effective_number, group_sums, wilson_interval


def group_codes(names: np.ndarray, files: np.ndarray | None = None, copies: Sequence[Sequence[int]] = ()) -> np.ndarray:
    """A number for each image's group; an image without a group is one by itself, and copies of an image are one.

    Args:
        names: (N,) str, '' where an image has no group.
        files: (N,) str, digest of each file; images of one digest are copies.
        copies: images that show the same picture, as rows, a sequence for each picture.

    Returns:
        (N,) int64, equal for images of one group; groups that share a copy are one group.
    """
    names = np.asarray(names, dtype=str)
    codes = np.unique(names, return_inverse=True)[1].astype(np.int64)
    alone = names == ""
    codes = np.where(alone, codes.max(initial=0) + 1 + np.arange(len(names)), codes)
    links = [(unit[0], row) for unit in copies for row in unit[1:]]
    if files is not None and len(names):
        first = np.unique(np.asarray(files, dtype=str), return_index=True, return_inverse=True)
        original = first[1][first[2]]
        links += [(int(original[row]), int(row)) for row in np.flatnonzero(original != np.arange(len(names)))]
    if not links:
        return codes
    compact = np.unique(codes, return_inverse=True)[1]
    count, (a, b) = compact.max() + 1, compact[np.array(links)].T
    graph = coo_array((np.ones(len(links)), (a, b)), shape=(count, count))
    return connected_components(graph, directed=False)[1].astype(np.int64)[compact]


def has_groups(names: np.ndarray) -> bool:
    """Whether any image belongs to a named group."""
    return bool((np.asarray(names, dtype=str) != "").any())


ROUNDING = 1e-6  # a spread below this share of the figures is that of float32
CHUNK = 2**22  # elements of a block of resampling weights


@dataclass(frozen=True)
class Means:
    """Figures of F columns.

    Attributes:
        mean, sd: (F,) float64 over images (SD with n - 1; 0 where there is one image).
        low, high: (F,) float64, ends of the interval; NaN-free: only meaningful where `bounded`.
        images, groups: (F,) int64, images and groups that count.
        bounded: (F,) bool, whether the effective number of groups is large enough for an interval.
    """

    mean: np.ndarray
    sd: np.ndarray
    low: np.ndarray
    high: np.ndarray
    images: np.ndarray
    groups: np.ndarray
    bounded: np.ndarray


def mean_intervals(
    values: np.ndarray,
    valid: np.ndarray,
    groups: np.ndarray,
    resamples: int,
    seed: int,
    bounds: tuple[float, float] | np.ndarray = (-np.inf, np.inf),
) -> Means:
    """Mean over images of each column, with a 95 % interval that draws whole groups with replacement.

    Images of one group (a patient) are not exchangeable, so the mean is a ratio of group sums to group sizes, and its
    standard error, in the sample and in each resample, the linearised one. The interval is the bootstrap-t (Efron and
    Tibshirani 1993, ch. 12.5), second-order exact for skewed figures such as correlations. There is none where the
    effective number of groups (`effective_number`) is below 10. Figures that are nearly all equal, such as 29 hits of
    30, tell no bootstrap how far they spread: with fewer than 10 groups that differ from the median, the interval is
    Wilson's for what lies below and above the median, within the bounds; without finite bounds there is none.

    Args:
        values: (n, F) float64; finite also where not valid.
        valid: (n, F) bool, which images count in which column.
        groups: (n,) integers, group of each image; all different where there are no groups.
        resamples: number of resamples; 1,999 puts the ends at whole order statistics.
        seed: of the resampling.
        bounds: (2,) or (F, 2), what a mean can be at all; intervals are cut there.
    """
    codes, count = np.unique(groups, return_inverse=True)[1], len(np.unique(groups))
    valid = np.broadcast_to(valid, values.shape)
    sums, sizes = group_sums(np.where(valid, values, 0.0), codes, count), group_sums(valid, codes, count)
    images, present = sizes.sum(axis=0), (sizes > 0).sum(axis=0)
    whole = np.maximum(images, 1)
    mean = sums.sum(axis=0) / whole
    squares = np.where(valid, (values - mean) ** 2, 0.0).sum(axis=0)
    residuals = sums - mean * sizes
    # A group pulls the mean towards itself by its share of the images (CR2: Bell and McCaffrey 2002); with groups of
    # equal sizes this is the usual G / (G - 1).
    pull = np.where(sizes < whole, 1 - sizes / whole, 1)
    error = np.sqrt((residuals**2 / pull).sum(axis=0)) / whole
    error[error <= ROUNDING * np.abs(values).max(axis=0, initial=0)] = 0
    low, high = _ends(residuals, sizes, present, error, resamples, seed)
    floor, ceiling = np.broadcast_to(np.asarray(bounds, dtype=np.float64).T.reshape(2, -1), (2, len(mean)))
    effective = effective_number(sizes)
    bounded = effective >= FEWEST_GROUPS
    # Resamples of unequal groups spread as if there were all of them; the degrees of freedom are fewer.
    if (effective < present * (1 - 1e-9)).any():
        wider = stdtrit([np.maximum(effective - 1, 1), np.maximum(present - 1, 1)], (1 + LEVEL) / 2)
        low, high = (end * np.maximum(wider[0] / wider[1], 1) for end in (low, high))
    for column in np.flatnonzero(bounded & (present >= 1) & ~_differ(values, valid, codes, count, mean)):
        own = valid[:, column]
        ends = _sparse_ends(values[own, column], codes[own], float(effective[column]), floor[column], ceiling[column])
        if ends is not None:
            low[column], high[column] = (end - mean[column] for end in ends)
            bounded[column] = bool(np.isfinite(ends).all())
    low, high = (np.where(np.isfinite(end), end, 0.0) for end in (low, high))
    return Means(
        mean=mean,
        sd=np.sqrt(squares / np.maximum(images - 1, 1)),
        low=np.clip(mean + low, floor, ceiling),
        high=np.clip(mean + high, floor, ceiling),
        images=images.astype(np.int64),
        groups=present.astype(np.int64),
        bounded=bounded,
    )


def _differ(values: np.ndarray, valid: np.ndarray, codes: np.ndarray, count: int, mean: np.ndarray) -> np.ndarray:
    """Columns (F,) of which ten groups lie above the mean and ten below, so that ten differ from the median: bool."""
    tolerance = ROUNDING * np.maximum(np.abs(np.where(valid, values, 0)).max(axis=0, initial=0), 1e-30)
    sides = (valid & (values > mean + tolerance), valid & (values < mean - tolerance))
    groups = [(group_sums(side, codes, count) > 0).sum(axis=0) for side in sides]
    return np.minimum(*groups) >= FEWEST_GROUPS


def _sparse_ends(
    values: np.ndarray, codes: np.ndarray, trials: float, floor: float, ceiling: float
) -> tuple[float, float] | None:
    """Ends of the interval of figures that are nearly all equal; None where they are not, NaN where bounds lack."""
    usual = float(np.median(values))
    differs = np.abs(values - usual) > ROUNDING * max(np.abs(values).max(), 1e-30)
    if differs.sum() >= FEWEST_GROUPS and len(np.unique(codes[differs])) >= FEWEST_GROUPS:
        return None
    if not (np.isfinite(floor) and np.isfinite(ceiling)):
        return np.nan, np.nan
    below, above = max(usual - floor, 0.0), max(ceiling - usual, 0.0)
    less = np.clip((usual - values) / below, 0, 1).mean() if below > 0 else 0.0
    more = np.clip((values - usual) / above, 0, 1).mean() if above > 0 else 0.0
    (less_low, less_high), (more_low, more_high) = (wilson_interval(float(part), trials) for part in (less, more))
    return usual - less_high * below + more_low * above, usual + more_high * above - less_low * below


def resampling_weights(count: int, draws: int, generator: np.random.Generator) -> np.ndarray:
    """How often each of `count` groups is drawn, in each of `draws` resamples: (draws, count) float32."""
    drawn = generator.integers(0, count, size=(draws, count)) + count * np.arange(draws)[:, None]
    return np.bincount(drawn.ravel(), minlength=draws * count).reshape(draws, count).astype(np.float32)


def weights_in_blocks(count: int, resamples: int, seed: int) -> Iterator[np.ndarray]:
    """The weights of all resamples, in blocks that memory holds; where that is one block, it is drawn only once.

    Args:
        count: groups.
        resamples: number of resamples.
        seed: of the resampling; the same weights in blocks of any size.
    """
    step = max(1, CHUNK // count)
    if step >= resamples:
        yield _weights_at_once(count, resamples, seed)
        return
    generator = np.random.default_rng(seed)
    for start in range(0, resamples, step):
        yield resampling_weights(count, min(step, resamples - start), generator)


@lru_cache(maxsize=2)
def _weights_at_once(count: int, resamples: int, seed: int) -> np.ndarray:
    return resampling_weights(count, resamples, np.random.default_rng(seed))


def _ends(
    residuals: np.ndarray,
    sizes: np.ndarray,
    present: np.ndarray,
    error: np.ndarray,
    resamples: int,
    seed: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Ends of the intervals (F,), as distances from the mean."""
    drift, ratio = _resampled(residuals, sizes, present, resamples, seed)
    tail = max(round((resamples + 1) * (1 - LEVEL) / 2) - 1, 0)
    unspread = np.isinf(ratio).sum(axis=1) > tail / 2
    kth = [tail, resamples - 1 - tail]
    ratio.partition(kth, axis=1)
    with np.errstate(invalid="ignore"):  # inf * 0 where all images agree, which is not taken
        low, high = (-ratio[:, k] * error for k in reversed(kth))
    percentiles = np.partition(drift[unspread], kth, axis=1)
    low[unspread], high[unspread] = percentiles[:, kth[0]], percentiles[:, kth[1]]
    return np.where(error == 0, 0.0, low), np.where(error == 0, 0.0, high)


def _resampled(
    residuals: np.ndarray, sizes: np.ndarray, present: np.ndarray, resamples: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """(F, resamples) each: the resample's mean less the mean, and that over the resample's own standard error."""
    even = bool((sizes == sizes[:, :1]).all())  # every column counts the same images: sizes are one column
    size = sizes[:, :1] if even else sizes
    columns = [residuals, residuals**2, size]
    if size.max(initial=0) > 1:  # else the residuals times the sizes are the residuals, and the squared sizes the sizes
        columns += [residuals * sizes, size**2]
    cut = np.cumsum([column.shape[1] for column in columns])[:-1]
    stacked = np.concatenate(columns, axis=1).astype(np.float32)
    drifts, ratios = np.empty((2, residuals.shape[1], resamples))
    start = 0
    for weights in weights_in_blocks(len(sizes), resamples, seed):
        sums = np.split(np.ascontiguousarray((weights @ stacked).T, dtype=np.float64), cut)
        drift, squares, total, cross, total2 = sums if len(sums) == 5 else (*sums, *sums[::2])
        total = np.maximum(total, 1)
        drift = drift / total
        spread = squares - 2 * drift * cross + drift**2 * total2
        error = _standard_error(np.where(spread > ROUNDING * squares, spread, 0), total, present[:, None])
        block = slice(start, start + len(weights))
        with np.errstate(divide="ignore", invalid="ignore"):  # a resample of equal images: infinitely sure, or 0 / 0
            ratios[:, block] = np.where(drift == 0, 0.0, drift / error)
        drifts[:, block] = drift
        start += len(weights)
    return drifts, ratios


def _standard_error(squares: np.ndarray, total: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Linearised standard error of a ratio: squared residuals of the groups, images in all, number of groups."""
    return np.sqrt(squares * (groups / np.maximum(groups - 1, 1))) / total
