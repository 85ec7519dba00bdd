"""Whether scores mean what they say: an image classified with a score of 0.8 should be right four times in five."""

import numpy as np

DRAWS = 200  # of labels that follow the scores
BINS = 15  # of equal width over 0..1, each closed on the right


def expected_calibration_error(scores: np.ndarray, labels: np.ndarray) -> float:
    """Expected calibration error of the winning class (Guo et al. 2017, arXiv:1706.04599, eq. 3).

    Args:
        scores: (n, K) float64, rows sum to 1.
        labels: (n,) int64.

    Returns:
        Mean over images of |accuracy - mean score| of the bin, 0..1.
    """
    winning = scores.max(axis=1)
    right = scores.argmax(axis=1) == labels
    inside = np.clip(np.ceil(winning * BINS).astype(int) - 1, 0, BINS - 1)
    gaps = np.bincount(inside, weights=right - winning, minlength=BINS)
    return float(np.abs(gaps).sum() / len(labels))


def calibration_floor(scores: np.ndarray) -> float:
    """Expected calibration error of a perfectly calibrated model with these scores, on as many images.

    The error is never negative, so that chance alone makes it larger than 0. Labels are drawn from the scores.

    Args:
        scores: (n, K) float64, rows sum to 1.

    Returns:
        Mean over 200 draws, 0..1.
    """
    winning = scores.max(axis=1)
    inside = np.clip(np.ceil(winning * BINS).astype(int) - 1, 0, BINS - 1)
    right = np.random.default_rng(0).random((DRAWS, len(winning))) < winning
    gaps = (right - winning) @ np.eye(BINS)[inside]
    return float(np.abs(gaps).sum(axis=1).mean() / len(winning))
