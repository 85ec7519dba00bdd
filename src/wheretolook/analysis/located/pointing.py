"""The pointing game: does the highest cell of a map touch the evidence? (Zhang et al. 2018, arXiv:1608.00507)

The tolerance is half a cell around the cell's middle, which is the cell itself: a coarse map cannot point more finely.
"""

import numpy as np


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
