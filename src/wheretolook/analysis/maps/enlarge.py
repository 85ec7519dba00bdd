"""Maps at the size of their images: what pixels are ranked by, and what is drawn over them."""

import numpy as np


def enlarge(maps: np.ndarray, size: int | tuple[int, int]) -> np.ndarray:
    """Maps at the size of their images, bilinearly between the middles of their cells. A view, never stored.

    Args:
        maps: (n, h, w).
        size: H and W of the images, or the side of a square.

    Returns:
        (n, H, W) float64.
    """
    sides = (size, size) if isinstance(size, int) else size
    down, across = (_bilinear(cells, side) for cells, side in zip(maps.shape[1:], sides, strict=True))
    return down @ maps.astype(np.float64) @ across.T


def _bilinear(cells: int, side: int) -> np.ndarray:
    """Weights (S, h) of cells at each pixel's middle; beyond the outer cells' middles the outer cell alone counts."""
    place = np.clip((np.arange(side) + 0.5) * cells / side - 0.5, 0, cells - 1)
    low = np.minimum(place.astype(int), max(cells - 2, 0))
    weights = np.zeros((side, cells))
    weights[np.arange(side), low] = 1 - (place - low)
    weights[np.arange(side), np.minimum(low + 1, cells - 1)] += place - low
    return weights
