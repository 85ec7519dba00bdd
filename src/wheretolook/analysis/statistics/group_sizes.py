"""Groups of images: their sums, their effective number, and the interval of a share of so many trials."""

import numpy as np

LEVEL = 0.95  # of every interval
NORMAL = 1.959963984540054  # its quantile of the normal distribution


def effective_number(sizes: np.ndarray) -> np.ndarray:
    """Effective number of groups of unequal sizes (Kish 1965): the square of the sum over the sum of squares.

    One patient with 60 of 88 images leaves 2.1 groups of 29.

    Args:
        sizes: (G, F) images of each group, or (G,).

    Returns:
        (F,) float64, or a number; G where all sizes are equal, 0 without images.
    """
    sizes = np.asarray(sizes, dtype=np.float64)
    squares = (sizes**2).sum(axis=0)
    return sizes.sum(axis=0) ** 2 / np.where(squares > 0, squares, 1)


def wilson_interval(share: float, trials: float) -> tuple[float, float]:
    """Wilson's score interval of a share, 95 % (Wilson 1927): never empty, also for 0 and 1.

    Args:
        share: 0 to 1. Of other figures from 0 to 1 the interval is too wide, as a share spreads most for its mean.
        trials: their number, or an effective number.
    """
    z2 = NORMAL**2
    centre = (share + z2 / (2 * trials)) / (1 + z2 / trials)
    half = NORMAL / (1 + z2 / trials) * np.sqrt(share * (1 - share) / trials + z2 / (4 * trials**2))
    return max(0.0, float(centre - half)), min(1.0, float(centre + half))


def group_sums(values: np.ndarray, codes: np.ndarray, count: int) -> np.ndarray:
    """Sum of the rows of each group: (n, F) and group codes 0..count-1 (n,) to (count, F) float64."""
    if count == len(codes):  # no groups: each image is its own
        sums = np.empty(values.shape)
        sums[codes] = values
        return sums
    sums = np.zeros((count, values.shape[1]))
    np.add.at(sums, codes, values)
    return sums
