"""Intersection over union of the highest fifth of two maps."""

import numpy as np

from wheretolook.analysis.agreement.measure import Features, Measure
from wheretolook.analysis.maps.correlation import standardise

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
