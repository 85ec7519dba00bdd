"""Which pixels a map takes out first."""

import numpy as np

FRACTION = 0.1  # of the pixels
RIM = 2  # pixels


def enlarge(maps: np.ndarray, side: int) -> np.ndarray:
    """Maps at the size of their images, bilinearly: (n, h, w) to (n, S, S). A view for ranking pixels, never stored."""
    down, across = (_bilinear(n, side) for n in maps.shape[1:])
    return down @ maps.astype(np.float64) @ across.T


def first_pixels(scores: np.ndarray, fraction: float, seed: int) -> np.ndarray:
    """The highest pixels of each map, equally many for all.

    Args:
        scores: (n, S, S).
        fraction: of the pixels, 0 to 1.
        seed: decides between equal pixels, or those at the top left would go first.

    Returns:
        (n, S, S) bool.
    """
    count, pixels = len(scores), scores[0].size
    shuffled = np.random.default_rng(seed).permutation(pixels)
    order = np.argsort(-scores.reshape(count, pixels)[:, shuffled], axis=1, kind="stable")[
        :, : round(fraction * pixels)
    ]
    chosen = np.zeros((count, pixels), dtype=bool)
    np.put_along_axis(chosen, shuffled[order], True, axis=1)
    return chosen.reshape(scores.shape)


def evidence_pixels(inside: np.ndarray, fraction: float, seed: int) -> np.ndarray:
    """A region and its rim of RIM pixels, where evidence is blurred; never more than the given share of the pixels.

    What a map that knew the truth would take out: fewer pixels than the maps it is held against.

    Args:
        inside: (n, S, S) bool.
        fraction: of the pixels, 0 to 1.
        seed: decides between equal pixels.

    Returns:
        (n, S, S) bool.
    """
    from scipy.ndimage import distance_transform_edt

    distance = np.stack([distance_transform_edt(~each) for each in inside])
    return first_pixels(-distance, fraction, seed) & (distance <= RIM)


def _bilinear(cells: int, side: int) -> np.ndarray:
    """Weights (S, h) of cells at each pixel's middle; beyond the outer cells' middles the outer cell alone counts."""
    place = np.clip((np.arange(side) + 0.5) * cells / side - 0.5, 0, cells - 1)
    low = np.minimum(place.astype(int), max(cells - 2, 0))
    weights = np.zeros((side, cells))
    weights[np.arange(side), low] = 1 - (place - low)
    weights[np.arange(side), np.minimum(low + 1, cells - 1)] += place - low
    return weights
