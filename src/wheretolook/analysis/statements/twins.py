"""Models that are one training twice: the same file, the same weights saved again or moved a little, or one seed.

A second copy of a network agrees with the first whatever it looks at, so that it is no evidence. Models of one seed and
architecture share first weights, and the order and augmentation of the images: last-k and every-k of one seed have
weights that correlate by 0.98 after training. Each training counts once.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from wheretolook.analysis.statements.statement import Twin

# Honest seeds have residual logits that correlate by up to 0.99 on easy data; a copy moved by 1e-7, by 1 - 1e-10.
EQUAL = 0.9999


def find_twins(
    about: Mapping[str, Mapping[str, Any]],
    logits: Mapping[str, np.ndarray],
    maps: Mapping[str, np.ndarray],
    labels: np.ndarray,
    drive: Sequence[str] = (),
) -> list[Twin]:
    """Models that repeat one before them.

    Args:
        about: "model" of each manifest, by name, in order.
        logits: (n, K) of each model.
        maps: (n, c) primary maps of each model that has them, on its own grid.
        labels: (n,) true classes: correlations are within classes, so that being right counts for nothing.
        drive: names of models whose training is not known for sure.
    """
    found: list[Twin] = []
    single: list[str] = []
    residuals = {name: _within_classes(values, labels) for name, values in logits.items()}
    for name in about:
        compared = (_twin(name, first, about, residuals, maps, drive) for first in single)
        twin = next((each for each in compared if each is not None), None)
        if twin is None:
            single.append(name)
        else:
            found.append(twin)
    return found


def _twin(
    name: str,
    first: str,
    about: Mapping[str, Mapping[str, Any]],
    residuals: Mapping[str, np.ndarray],
    maps: Mapping[str, np.ndarray],
    drive: Sequence[str],
) -> Twin | None:
    a, b = about[first], about[name]
    if a["sha256"] == b["sha256"]:
        return Twin(name, first, "same file")
    figures = {"logits": correlation(residuals[first], residuals[name])}
    if first in maps and name in maps and maps[first].shape == maps[name].shape:
        figures["maps"] = correlation(maps[first], maps[name])
    if min(figures.values()) >= EQUAL:
        return Twin(name, first, "same weights", figures)
    trained_here = first not in drive and name not in drive
    same_seed = trained_here and a.get("seed") is not None and a.get("seed") == b.get("seed")
    same_start = same_seed and a.get("architecture") == b.get("architecture")
    if same_start:
        return Twin(name, first, "same seed", figures)
    return None


def correlation(first: np.ndarray, second: np.ndarray) -> float:
    """Pearson's r of two arrays of one shape, 0 where one of them is constant."""
    a, b = (each.ravel().astype(np.float64) - each.mean(dtype=np.float64) for each in (first, second))
    size = np.sqrt((a @ a) * (b @ b))
    return float(a @ b / size) if size > 0 else 0.0


def _within_classes(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Logits less their mean over classes of each image, and less the mean of each class."""
    out = logits.astype(np.float64) - logits.mean(axis=1, keepdims=True, dtype=np.float64)
    for k in np.unique(labels):
        out[labels == k] -= out[labels == k].mean(axis=0)
    return out
