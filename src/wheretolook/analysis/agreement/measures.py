"""Definitions of IoU, distance of centres and SSIM: features of each map, and a comparison of two maps' features."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeVar

import numpy as np

from wheretolook.analysis.grid import standardise
from wheretolook.base.resources import usable_cores

Features = tuple[np.ndarray, ...]


@dataclass(frozen=True)
class Measure:
    """One figure of agreement.

    Attributes:
        name: of the figure.
        features: maps (..., h, w) float32 to arrays that all begin with (...), the last a bool: whether the figure
            exists for the map at all.
        compare: two features whose leading shapes broadcast to (...) to (...) float64; finite also where the figure
            doesn't exist.
        models: features of (n, M) maps and of (n, M) others of the same n to (n, M, M) float64, each model's with each
            other's, image by image.
        cross: features of (b,) and (n,) maps to (b, n), each with each; None: too costly, a sample of images is used.
        signed: whether a null map and its negative both count as what an empty prior could show.
        more_is_alike: False for a distance.
        bounds: what the figure can be.
    """

    name: str
    features: Callable[[np.ndarray], Features]
    compare: Callable[[Features, Features], np.ndarray]
    models: Callable[[Features, Features], np.ndarray]
    cross: Callable[[Features, Features], np.ndarray] | None
    signed: bool
    more_is_alike: bool
    bounds: tuple[float, float]


def select(features: Features, index: Any) -> Features:
    """The features of some maps: every array indexed alike."""
    return tuple(array[index] for array in features)


THREADS = 8  # at most: each holds blocks of its own in memory
Found = TypeVar("Found")


def side_by_side(wanted: Sequence[Callable[[], Found]]) -> list[Found]:
    """What each function gives, in their order; the result does not depend on the threads."""
    with ThreadPoolExecutor(min(usable_cores(), THREADS)) as pool:
        return list(pool.map(lambda function: function(), wanted))


def centre_of_mass(maps: np.ndarray) -> Features:
    """Centre of mass of each map's positive part.

    Args:
        maps: (..., h, w) float32.

    Returns:
        (..., 2) float64, y and x as shares of the image's height and width (0 where there is no positive part), and
        (...) bool, whether there is one.
    """
    positive = np.maximum(maps, 0)
    total = positive.sum(axis=(-2, -1), dtype=np.float64)
    there = total > 0
    y, x = ((np.arange(n) + 0.5) / n for n in maps.shape[-2:])
    moments = np.stack([positive.sum(axis=-1) @ y, positive.sum(axis=-2) @ x], axis=-1)
    return np.where(there[..., None], moments / np.where(there, total, 1)[..., None], 0.0), there


def distance(first: Features, second: Features) -> np.ndarray:
    """Distance of pairs of centres, in widths of the image."""
    return np.linalg.norm(first[0] - second[0], axis=-1)


def model_distances(first: Features, second: Features) -> np.ndarray:
    """Distance of each model's centre from each other model's, image by image: (n, M) centres each to (n, M, M)."""
    return np.linalg.norm(first[0][:, :, None] - second[0][:, None], axis=-1)


def cross_distance(first: Features, second: Features) -> np.ndarray:
    """Distance of each of (b,) centres from each of (n,): (b, n)."""
    y, x = (first[0][:, None, i] - second[0][None, :, i] for i in (0, 1))
    y *= y
    x *= x
    y += x
    return np.sqrt(y, out=y)


CENTRES = Measure(
    "distance",
    centre_of_mass,
    distance,
    model_distances,
    cross_distance,
    signed=False,
    more_is_alike=False,
    bounds=(0.0, float(np.sqrt(2))),
)


SHARE = 0.2


def top_fifth(maps: np.ndarray) -> Features:
    """Which cells are the highest fifth, exactly a fifth of their number; equal cells share what is left.

    Args:
        maps: (..., h, w) float32.

    Returns:
        (..., c) float32, the share of each cell that is in; (..., c) float32, 1 where a cell is in by part; (...)
        float32, the share of each of those; (...) bool, whether the map varies.
    """
    rows = maps.reshape(*maps.shape[:-2], -1)
    cells = rows.shape[-1]
    wanted = SHARE * cells
    place = cells - int(np.ceil(wanted))
    edge = np.partition(rows, place, axis=-1)[..., place, None]
    sure = (rows > edge).astype(np.float32)
    sharing = (rows == edge).astype(np.float32)
    rest = ((wanted - sure.sum(axis=-1)) / sharing.sum(axis=-1)).astype(np.float32)
    return sure + sharing * rest[..., None], sharing, rest, standardise(rows)[1]


def overlap(first: Features, second: Features) -> np.ndarray:
    """Intersection over union of pairs of maps, of cells that may be in by part: sum of minima over sum of maxima."""
    return _iou(np.minimum(first[0], second[0]).sum(axis=-1, dtype=np.float64), first[0].shape[-1])


def cross_overlap(first: Features, second: Features) -> np.ndarray:
    """Intersection over union of each of (..., b) with each of (..., n) maps: (..., b, n).

    The smaller of two shares is their product wherever one of them is 0 or 1: the product of matrices lacks only the
    cells that are in by part in both maps.
    """
    (filled_a, sharing_a, share_a, _), (filled_b, sharing_b, share_b, _) = first, second
    a, b = share_a[..., :, None], share_b[..., None, :]
    common = np.minimum(a, b)
    common -= a * b
    common *= _shared_cells(sharing_a, sharing_b)
    common += filled_a @ np.swapaxes(filled_b, -1, -2)
    return _iou(common, filled_a.shape[-1])


def _shared_cells(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Cells that are in by part in both maps of each pair: (..., b, c) and (..., n, c) of 0 and 1 to (..., b, n)."""
    if all((sharing.sum(axis=-1) == 1).all() for sharing in (first, second)):
        # Without ties there is one such cell in each map.
        places = (sharing.argmax(axis=-1).astype(np.int32) for sharing in (first, second))
        return np.equal(next(places)[..., :, None], next(places)[..., None, :])
    return first @ np.swapaxes(second, -1, -2)


def _iou(common: np.ndarray, cells: int) -> np.ndarray:
    return common / (2 * SHARE * cells - common)


TOP_FIFTH = Measure(
    "iou", top_fifth, overlap, cross_overlap, cross_overlap, signed=True, more_is_alike=True, bounds=(0.0, 1.0)
)


WINDOW = 7  # cells; maps with a shorter side have no SSIM
RANGE = 6.0  # of standardised maps: three standard deviations to each side
STABLE = ((0.01 * RANGE) ** 2, (0.03 * RANGE) ** 2)


def windows(maps: np.ndarray) -> np.ndarray:
    """Mean over each window that lies inside the map: (..., h, w) to (..., h - 6, w - 6) float32."""
    down, across = (_sliding_mean(n) for n in maps.shape[-2:])
    return down @ maps @ across.T


@lru_cache(maxsize=4)
def _sliding_mean(side: int) -> np.ndarray:
    """Means over each window of one side, as a matrix: (side - 6, side) float32."""
    rows = [np.roll(np.r_[np.ones(WINDOW), np.zeros(side - WINDOW)], i) for i in range(side - WINDOW + 1)]
    return (np.stack(rows) / WINDOW).astype(np.float32)


def local_moments(maps: np.ndarray) -> Features:
    """Each map with its local means and variances (sample variances, as in the paper's code).

    Args:
        maps: (..., h, w) float32, standardised by model, h and w at least 7.
    """
    means = windows(maps)
    variances = (windows(maps * maps) - means * means) * _unbiased()
    varies = standardise(maps.reshape(*maps.shape[:-2], -1))[1]
    return maps, means, variances, varies


def similarity(first: Features, second: Features) -> np.ndarray:
    """Mean SSIM of pairs of maps, -1 to 1."""
    (a, mean_a, variance_a, _), (b, mean_b, variance_b, _) = first, second
    product = mean_a * mean_b
    covariance = (windows(a * b) - product) * _unbiased()
    light = (2 * product + STABLE[0]) / (mean_a * mean_a + mean_b * mean_b + STABLE[0])
    contrast = (2 * covariance + STABLE[1]) / (variance_a + variance_b + STABLE[1])
    return (light * contrast).mean(axis=(-2, -1), dtype=np.float64)


PRODUCTS = 2**18  # elements of a block of products of maps, so that it stays in the processor's cache


def model_similarities(first: Features, second: Features) -> np.ndarray:
    """Mean SSIM of each model's map and each other model's, image by image: (n, M) maps each to (n, M, M)."""
    count, models, height, width = first[0].shape
    found = np.empty((count, models, models))
    rows = max(1, min(models, PRODUCTS // (models * height * width)))
    images = max(1, PRODUCTS // (rows * models * height * width))
    for start in range(0, count, images):
        block = slice(start, start + images)
        # The cells come first, so that each step below runs over all pairs of models at once.
        a, b = ([np.moveaxis(part[block], (-2, -1), (0, 1)) for part in each[:3]] for each in (first, second))
        b = [np.ascontiguousarray(part)[..., None, :] for part in b]
        for row in range(0, models, rows):
            own = [np.ascontiguousarray(part[..., row : row + rows])[..., None] for part in a]
            found[block, row : row + rows] = _mean_similarity(own, b)
    return found


def _mean_similarity(first: Sequence[np.ndarray], second: Sequence[np.ndarray]) -> np.ndarray:
    """Mean SSIM of maps, window means and variances whose cells come first: (h, w, ...) and (h', w', ...) to (...)."""
    (a, mean_a, variance_a), (b, mean_b, variance_b) = first, second
    covariance = _leading_windows(a * b)
    product = mean_a * mean_b
    covariance -= product
    covariance *= 2 * _unbiased()
    covariance += np.float32(STABLE[1])
    product *= 2
    product += np.float32(STABLE[0])
    covariance *= product
    covariance /= mean_a * mean_a + (mean_b * mean_b + np.float32(STABLE[0]))
    covariance /= variance_a + (variance_b + np.float32(STABLE[1]))
    return covariance.mean(axis=(0, 1), dtype=np.float64)


def _leading_windows(maps: np.ndarray) -> np.ndarray:
    """Mean over each window of maps whose cells come first: (h, w, ...) to (h - 6, w - 6, ...)."""
    height, width, *rest = maps.shape
    down, across = _sliding_mean(height), _sliding_mean(width)
    rows = (down @ maps.reshape(height, -1)).reshape(len(down), width, -1)
    return (across @ rows).reshape(len(down), len(across), *rest)


def _unbiased() -> np.float32:
    return np.float32(WINDOW**2 / (WINDOW**2 - 1))


STRUCTURE = Measure(
    "ssim", local_moments, similarity, model_similarities, None, signed=True, more_is_alike=True, bounds=(-1.0, 1.0)
)
