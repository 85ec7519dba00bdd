"""Definitions of IoU, distance of centres and SSIM: features of each map, and a comparison of two maps' features."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeVar

import numpy as np

from wheretolook.analysis.grid import standardise

Features = tuple[np.ndarray, ...]


@dataclass(frozen=True)
class Measure:
    """One figure of agreement.

    Attributes:
        name: of the figure.
        features: maps (..., h, w) float32 to arrays that all begin with (...), the last a bool: whether the figure
            exists for the map at all.
        compare: two features of equal leading shape (...) to (...) float64; finite also where the figure doesn't exist.
        cross: features of (b,) and (n,) maps to (b, n), each with each; None: too costly, a sample of images is used.
        signed: whether a null map and its negative both count as what an empty prior could show.
        more_is_alike: False for a distance.
        bounds: what the figure can be.
    """

    name: str
    features: Callable[[np.ndarray], Features]
    compare: Callable[[Features, Features], np.ndarray]
    cross: Callable[[Features, Features], np.ndarray] | None
    signed: bool
    more_is_alike: bool
    bounds: tuple[float, float]


def select(features: Features, index: Any) -> Features:
    """The features of some maps: every array indexed alike."""
    return tuple(array[index] for array in features)


THREADS = 2  # more would hold more blocks in memory at once
Found = TypeVar("Found")


def side_by_side(wanted: Sequence[Callable[[], Found]]) -> list[Found]:
    """What each function gives, in their order; the result does not depend on the threads."""
    with ThreadPoolExecutor(THREADS) as pool:
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
        (..., c) float32, 1 where a cell is in for sure; (..., c) float32, 1 where it shares the rest; (...) float32,
        the share each of those gets; (...) bool, whether the map varies.
    """
    rows = maps.reshape(*maps.shape[:-2], -1)
    cells = rows.shape[-1]
    wanted = SHARE * cells
    place = cells - int(np.ceil(wanted))
    edge = np.partition(rows, place, axis=-1)[..., place, None]
    sure = (rows > edge).astype(np.float32)
    sharing = (rows == edge).astype(np.float32)
    rest = (wanted - sure.sum(axis=-1)) / sharing.sum(axis=-1)
    return sure, sharing, rest.astype(np.float32), standardise(rows)[1]


def overlap(first: Features, second: Features) -> np.ndarray:
    """Intersection over union of pairs of maps, of cells that may be in by part: sum of minima over sum of maxima."""
    a, b = (sure + sharing * share[..., None] for sure, sharing, share, _ in (first, second))
    return _iou(np.minimum(a, b).sum(axis=-1, dtype=np.float64), a.shape[-1])


def cross_overlap(first: Features, second: Features) -> np.ndarray:
    """Intersection over union of each of (b,) with each of (n,) maps: (b, n)."""
    (sure_a, sharing_a, share_a, _), (sure_b, sharing_b, share_b, _) = first, second
    part_a, part_b = sharing_a * share_a[:, None], sharing_b * share_b[:, None]
    # Where one map's cell is in for sure, the smaller share is the other's; where both share, the smaller of the two.
    certain = np.concatenate([sure_a, part_a, sure_a], axis=1) @ np.concatenate([sure_b, sure_b, part_b], axis=1).T
    shared = np.minimum.outer(share_a, share_b) * (sharing_a @ sharing_b.T)
    return _iou(certain + shared, sure_a.shape[1])


def _iou(common: np.ndarray, cells: int) -> np.ndarray:
    return common / (2 * SHARE * cells - common)


TOP_FIFTH = Measure("iou", top_fifth, overlap, cross_overlap, signed=True, more_is_alike=True, bounds=(0.0, 1.0))


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


def _unbiased() -> np.float32:
    return np.float32(WINDOW**2 / (WINDOW**2 - 1))


STRUCTURE = Measure("ssim", local_moments, similarity, None, signed=True, more_is_alike=True, bounds=(-1.0, 1.0))
