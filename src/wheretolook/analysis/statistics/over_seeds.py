"""Tests whose unit is the model: what holds of networks trained so, not only of those that were trained."""

from collections.abc import Mapping

import numpy as np
from scipy.stats import t as student

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


def _quantile(count: int) -> float:
    return float(student.ppf((1 + LEVEL) / 2, count - 1))
