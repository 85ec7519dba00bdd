"""Maps at the size of their images: what pixels are ranked by, and what is drawn over them."""

import numpy as np


def enlarge(maps: np.ndarray, side: int) -> np.ndarray:
    """Maps at the size of their images, bilinearly between the middles of their cells. A view, never stored.

    Args:
        maps: (n, h, w).
        side: S of the images.

    Returns:
        (n, S, S) float64.
    """
    down, across = (_bilinear(n, side) for n in maps.shape[1:])
    return down @ maps.astype(np.float64) @ across.T


def _bilinear(cells: int, side: int) -> np.ndarray:
    """Weights (S, h) of cells at each pixel's middle; beyond the outer cells' middles the outer cell alone counts."""
    place = np.clip((np.arange(side) + 0.5) * cells / side - 0.5, 0, cells - 1)
    low = np.minimum(place.astype(int), max(cells - 2, 0))
    weights = np.zeros((side, cells))
    weights[np.arange(side), low] = 1 - (place - low)
    weights[np.arange(side), np.minimum(low + 1, cells - 1)] += place - low
    return weights
