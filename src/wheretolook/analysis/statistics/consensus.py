"""What several models' tests say together: all of them, or at least u of M (partial conjunction)."""

import numpy as np


def partial_conjunction(p: np.ndarray, at_least: int) -> np.ndarray:
    """P-value of "fewer than u of the M models differ here" (partial conjunction, Benjamini and Heller 2008).

    Args:
        p: (M, ...) float64, a p-value of each model at each place; models may depend on each other.
        at_least: u, 1 to M. With u = M it is the largest p.

    Returns:
        (...) float64, (M - u + 1) times the u-th smallest p, at most 1.
    """
    models = len(p)
    if not 1 <= at_least <= models:
        raise ValueError(f"expected 1 to {models} models, found {at_least}")
    return np.minimum((models - at_least + 1) * np.sort(p, axis=0)[at_least - 1], 1.0)


def directed_consensus(p: np.ndarray, t: np.ndarray, at_least: int) -> tuple[np.ndarray, np.ndarray]:
    """Consensus of models that differ the same way.

    Args:
        p: (M, ...) two-sided p-values.
        t: (M, ...) statistics, whose sign is the way.
        at_least: u models.

    Returns:
        (...) p-value of the better way, and (...) int8, which way that is: 1 more, -1 less.
    """
    more, less = (partial_conjunction(np.where(sign * t > 0, p, 1.0), at_least) for sign in (1, -1))
    return np.minimum(more, less), np.where(more <= less, 1, -1).astype(np.int8)
