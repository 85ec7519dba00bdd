"""Share of a map's positive energy inside a region (energy-based pointing game, Wang et al. 2020, arXiv:1910.01279)."""

from dataclasses import dataclass

import numpy as np


def energy_inside(maps: np.ndarray, inside: np.ndarray, known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Share of the positive part of each map that lies in a region.

    Args:
        maps: (n, h, w), signed; a cell's energy is spread evenly over the cell. Of `-maps`: the negative energy.
        inside: (n, h, w), share of each cell that the region covers.
        known: (n, h, w), share of each cell whose label is known; only that share of its energy counts.

    Returns:
        (n,) float64 shares, 0 where undefined, and (n,) bool, whether defined: the map has a positive part.
    """
    positive = np.maximum(maps, 0).astype(np.float64)
    total = np.einsum("nhw,nhw->n", positive, known)
    found = np.einsum("nhw,nhw->n", positive, inside)
    defined = total > 0
    return np.where(defined, found / np.where(defined, total, 1), 0.0), defined


def area_share(inside: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Share of the known area that a region covers, (n,) float64: the energy inside of a map of one value.

    Every image needs a known pixel.
    """
    return inside.sum(axis=(1, 2), dtype=np.float64) / known.sum(axis=(1, 2), dtype=np.float64)


def energy_ceiling(inside: np.ndarray, known: np.ndarray) -> np.ndarray:
    """The largest energy inside that any map of this grid can have, (n,) float64: all of it in the best cell."""
    share = np.where(known > 0, inside / np.where(known > 0, known, 1), 0)
    return share.max(axis=(1, 2)).astype(np.float64)


def pointing_hits(maps: np.ndarray, inside: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Whether each map's highest cell touches the region.

    Args:
        maps: (n, h, w), signed.
        inside: (n, h, w), share of each cell that the region covers.
        known: (n, h, w), share of each cell whose label is known; wholly unknown cells don't take part.

    Returns:
        (n,) float64, 0 or 1; where several cells are highest together, the share of those that touch.
    """
    values = np.where(known > 0, maps, -np.inf)
    highest = (values == values.max(axis=(1, 2), keepdims=True)) & (known > 0)
    return (highest & (inside > 0)).sum(axis=(1, 2)) / np.maximum(highest.sum(axis=(1, 2)), 1)


def pointing_chance(inside: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Chance that a cell drawn at random among the known ones touches the region: (n,) float64."""
    return ((inside > 0) & (known > 0)).sum(axis=(1, 2)) / np.maximum((known > 0).sum(axis=(1, 2)), 1)


THRESHOLDS = np.round(np.arange(0.05, 1.0, 0.05), 2)  # shares of the map's largest value


@dataclass(frozen=True)
class Ranking:
    """Cells of n maps in falling order; a cell counts by its area, and one of both kinds as both.

    Attributes:
        values: (n, c) float32, falling.
        found: (n, c) float64, area inside the region among this cell, those before it, and those equal to it.
        missed: (n, c) float64, the same of the known area outside.
    """

    values: np.ndarray
    found: np.ndarray
    missed: np.ndarray


def rank_cells(maps: np.ndarray, inside: np.ndarray, known: np.ndarray) -> Ranking:
    """Order the cells of each map.

    Args:
        maps: (n, h, w) float32, signed.
        inside: (n, h, w), share of each cell that the region covers.
        known: (n, h, w), share of each cell whose label is known.
    """
    count, cells = len(maps), maps.shape[1] * maps.shape[2]
    rows = maps.reshape(count, cells)
    order = np.argsort(-rows, axis=1, kind="stable")
    values = np.take_along_axis(rows, order, axis=1)
    last = np.concatenate([values[:, 1:] != values[:, :-1], np.ones((count, 1), bool)], axis=1)

    def total(area: np.ndarray) -> np.ndarray:
        summed = np.cumsum(np.take_along_axis(area.reshape(count, cells), order, axis=1), axis=1, dtype=np.float64)
        if last.all():
            return summed
        # Equal cells come in together: each has the sum up to the last of them.
        return np.minimum.accumulate(np.where(last, summed, np.inf)[:, ::-1], axis=1)[:, ::-1]

    return Ranking(values, total(inside), total(known - inside))


def area_under_roc(ranking: Ranking) -> np.ndarray:
    """Area under each map's ROC curve, (n,); on the image's own pixels, that of the map enlarged without smoothing.

    0 where nothing is inside, or nothing outside.
    """
    step, width = (np.diff(area, prepend=0, axis=1) for area in (ranking.found, ranking.missed))
    area = (width * (ranking.found - step / 2)).sum(axis=1)
    both = ranking.found[:, -1] * ranking.missed[:, -1]
    return np.where(both > 0, area / np.where(both > 0, both, 1), 0)


def average_precision(ranking: Ranking) -> np.ndarray:
    """Mean precision over recall of each map, (n,), without interpolation; 0 where nothing is inside."""
    taken = ranking.found + ranking.missed
    step = np.diff(ranking.found, prepend=0, axis=1)
    precision = (step * ranking.found / np.where(taken > 0, taken, 1)).sum(axis=1)
    whole = ranking.found[:, -1]
    return np.where(whole > 0, precision / np.where(whole > 0, whole, 1), 0)


def thresholded_iou(ranking: Ranking) -> np.ndarray:
    """Intersection over union of the region with the cells at or above each of THRESHOLDS.

    Returns:
        (n, T) float64; 0 for a map without a positive part.
    """
    out = np.zeros((len(ranking.values), len(THRESHOLDS)))
    largest, whole = ranking.values[:, 0], ranking.found[:, -1]
    images = np.flatnonzero(largest > 0)
    for t, threshold in enumerate(THRESHOLDS):
        edge = np.float32(threshold) * largest[images, None]
        at = (ranking.values[images] >= edge).sum(axis=1) - 1
        common = ranking.found[images, at]
        out[images, t] = common / (ranking.missed[images, at] + whole[images])
    return out


def best_threshold(iou: np.ndarray) -> int | None:
    """Number of the threshold with the largest mean over images, of (n, T); None where there are no images."""
    return int(iou.mean(axis=0).argmax()) if len(iou) else None
