"""Share of a map's positive energy inside a region (energy-based pointing game, Wang et al. 2020, arXiv:1910.01279)."""

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
