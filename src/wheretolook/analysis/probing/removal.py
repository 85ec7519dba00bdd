"""Which pixels a map takes out first, and in which order."""

import numpy as np

FRACTION = 0.1  # of the pixels
RIM = 2  # pixels


def pixel_ranks(scores: np.ndarray, seed: int) -> np.ndarray:
    """Place of each pixel when the highest goes first: (n, S, S) to (n, S, S) int64, from 0.

    Args:
        scores: (n, S, S).
        seed: decides between equal pixels, or those at the top left would go first.
    """
    count, pixels = len(scores), scores[0].size
    shuffled = np.random.default_rng(seed).permutation(pixels)
    order = np.argsort(-scores.reshape(count, pixels)[:, shuffled], axis=1, kind="stable")
    ranks = np.empty((count, pixels), dtype=np.int64)
    np.put_along_axis(ranks, shuffled[order], np.arange(pixels)[None], axis=1)
    return ranks.reshape(scores.shape)


def first_pixels(scores: np.ndarray, fraction: float, seed: int) -> np.ndarray:
    """The highest pixels of each map, equally many for all.

    Args:
        scores: (n, S, S).
        fraction: of the pixels, 0 to 1.
        seed: decides between equal pixels.

    Returns:
        (n, S, S) bool.
    """
    return pixel_ranks(scores, seed) < round(fraction * scores[0].size)


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
