"""A model's scores by split, and by group where the index has groups."""

from typing import Any

import numpy as np

from wheretolook.analysis.bootstrap import mean_intervals
from wheretolook.analysis.classification import classification_scores, head_scores
from wheretolook.analysis.recall import balanced_accuracy_interval

WORST = 5


def split_scores(
    logits: np.ndarray,
    heads: list[str],
    labels: np.ndarray,
    class_names: tuple[str, ...],
    groups: np.ndarray,
    resamples: int,
    seed: int,
) -> dict[str, Any]:
    """Scores of one split, as `docs/results.md` lays out.

    Args:
        logits: (n, H, K) float32 of every trained head, first to last; the last is the model's own.
        heads: H layer names.
        labels: (n,) int64, n >= 1.
        class_names: K names.
        groups: (n,) group of each image.
        resamples: for the intervals.
        seed: for the intervals.
    """
    last = logits[:, -1]
    interval = balanced_accuracy_interval(last.argmax(axis=1) == labels, labels, groups, resamples, seed)
    low, high = interval or (None, None)
    return classification_scores(last, labels, class_names) | {
        "balanced_accuracy_low": low,
        "balanced_accuracy_high": high,
        "heads": {layer: head_scores(logits[:, i], labels) for i, layer in enumerate(heads)},
    }


def group_scores(
    right: np.ndarray, groups: np.ndarray, names: np.ndarray, resamples: int, seed: int
) -> dict[str, float | int | list | None]:
    """Accuracy with groups as the unit, and the groups that fared worst.

    Args:
        right: (n,) bool.
        groups: (n,) integers.
        names: (n,) str, the groups' names.
        resamples: for the interval.
        seed: for the interval.
    """
    means = mean_intervals(right[:, None].astype(float), np.ones((1, 1), bool), groups, resamples, seed, (0.0, 1.0))
    bounded = bool(means.bounded[0])
    found = [
        {"group": str(names[own][0]), "images": int(own.sum()), "accuracy": float(right[own].mean())}
        for own in (groups == code for code in np.unique(groups))
    ]
    found.sort(key=lambda entry: (entry["accuracy"], -entry["images"], entry["group"]))
    return {
        "groups": len(found),
        "accuracy": float(means.mean[0]),
        "accuracy_low": float(means.low[0]) if bounded else None,
        "accuracy_high": float(means.high[0]) if bounded else None,
        "worst": found[:WORST],
    }
