"""Structural similarity of two maps (SSIM, Wang et al. 2004, doi:10.1109/TIP.2003.819861)."""

from functools import lru_cache

import numpy as np

from wheretolook.analysis.agreement.measure import Features, Measure
from wheretolook.analysis.maps.correlation import standardise

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
