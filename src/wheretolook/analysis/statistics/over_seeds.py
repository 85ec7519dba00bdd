"""Tests whose unit is the model: what holds of networks trained so, not only of those that were trained."""

from collections.abc import Mapping
from itertools import product

import numpy as np
from scipy.stats import t as student

FLIPS_OF = 12  # seeds up to which every flip of signs is tried; beyond, as many are drawn
LEVEL = 0.95


def mean_over_seeds(values: np.ndarray) -> tuple[float, float]:
    """Mean of a figure that each model has one of, and the lower end of its Student interval (95 %, two-sided).

    Args:
        values: (S,), S >= 2 models that differ in their seeds alone.
    """
    error = values.std(ddof=1) / np.sqrt(len(values))
    return float(values.mean()), float(values.mean() - _quantile(len(values)) * error)


def pairs_over_seeds(pairs: Mapping[tuple[str, str], float]) -> tuple[float, float]:
    """Mean of a figure of pairs of models, and the lower end of its interval, by a jackknife that leaves models out.

    Pairs that share a model are not independent; the models are. The mean over pairs is a U-statistic of them, whose
    jackknife error (Arvesen 1969) has Student's t with S - 1 degrees of freedom.

    Args:
        pairs: a figure for every pair of S >= 3 models.
    """
    models = sorted({name for pair in pairs for name in pair})
    count, mean = len(models), float(np.mean(list(pairs.values())))
    without = [np.mean([value for pair, value in pairs.items() if name not in pair]) for name in models]
    error = np.sqrt((count - 1) / count * np.sum((np.array(without) - np.mean(without)) ** 2))
    return mean, float(mean - _quantile(count) * error)


def places_over_seeds(values: np.ndarray) -> np.ndarray:
    """P-value of "the models' values at a place have the mean 0", adjusted for all places: flips of models' signs.

    Under it a model's values could as well have the other sign, all places together. The largest |t| over places is
    held against that of every flip; the smallest p of S models is 2 to the power of 1 - S, so that five are too few.

    Args:
        values: (S, c) float64, in units that the models share.

    Returns:
        (c,) float64.
    """
    count = len(values)
    observed = _absolute_t(values)
    if count <= FLIPS_OF:
        signs = np.array(list(product((1.0, -1.0), repeat=count - 1)))  # all flipped together give the same |t|
        signs = np.column_stack([np.ones(len(signs)), signs])
    else:
        signs = np.random.default_rng(0).choice([1.0, -1.0], size=(2**FLIPS_OF, count))
        signs[0] = 1
    largest = np.array([_absolute_t(values * flip[:, None]).max(initial=0) for flip in signs])
    return (largest[:, None] >= observed * (1 - 1e-9)).mean(axis=0)


def _absolute_t(values: np.ndarray) -> np.ndarray:
    spread = values.std(axis=0, ddof=1)
    # Values that are all equal are either nothing at all or beyond any doubt.
    error = np.maximum(spread, 1e-12 * np.abs(values).max(axis=0, initial=0)) / np.sqrt(len(values))
    return np.abs(values.mean(axis=0)) / np.where(error > 0, error, 1)


def _quantile(count: int) -> float:
    return float(student.ppf((1 + LEVEL) / 2, count - 1))
