"""A model's scores by split."""

from typing import Any

import numpy as np

from wheretolook.analysis.statistics.balanced_accuracy import balanced_accuracy_interval
from wheretolook.analysis.statistics.classification import classification_scores, head_scores


def split_scores(
    logits: np.ndarray,
    heads: list[str],
    labels: np.ndarray,
    class_names: tuple[str, ...],
    groups: np.ndarray,
) -> dict[str, Any]:
    """Scores of one split, as `docs/results.md` lays out.

    Args:
        logits: (n, H, K) float32 of every trained head, first to last; the last is the model's own.
        heads: H layer names.
        labels: (n,) int64, n >= 1.
        class_names: K names.
        groups: (n,) group of each image.
    """
    last = logits[:, -1]
    interval = balanced_accuracy_interval(last.argmax(axis=1) == labels, labels, groups)
    low, high = interval or (None, None)
    return classification_scores(last, labels, class_names) | {
        "balanced_accuracy_low": low,
        "balanced_accuracy_high": high,
        "heads": {layer: head_scores(logits[:, i], labels) for i, layer in enumerate(heads)},
    }
