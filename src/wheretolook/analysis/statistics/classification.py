"""How well a model classifies, from its stored logits: accuracy, ranking, calibration, confusion (scikit-learn)."""

from typing import Any

import numpy as np

from wheretolook.analysis.statistics.calibration import calibration_floor, expected_calibration_error


def softmax(logits: np.ndarray) -> np.ndarray:
    """Scores of logits (n, K), in float64; each row sums to 1."""
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    powers = np.exp(shifted)
    return powers / powers.sum(axis=1, keepdims=True)


def classification_scores(logits: np.ndarray, labels: np.ndarray, class_names: tuple[str, ...]) -> dict[str, Any]:
    """Figures of one split.

    Args:
        logits: (n, K) float32, n >= 1.
        labels: (n,) int64, true class index.
        class_names: K names, in class order.

    Returns:
        As `docs/results.md` lays out for `splits`, without the figures of the heads; undefined ones are None.
    """
    from sklearn.metrics import accuracy_score, confusion_matrix, log_loss

    every_class = np.arange(len(class_names))
    scores, predicted = softmax(logits), logits.argmax(axis=1)
    confusion = confusion_matrix(labels, predicted, labels=every_class)
    recalls = [_share(confusion[k, k], confusion[k].sum()) for k in every_class]
    return {
        "images": len(labels),
        "accuracy": float(accuracy_score(labels, predicted)),
        "balanced_accuracy": float(np.mean([recall for recall in recalls if recall is not None])),
        "auroc": area_under_roc(scores, labels),
        "ece": expected_calibration_error(scores, labels),
        "ece_floor": calibration_floor(scores),
        "brier": brier_score(scores, labels),
        "log_loss": float(log_loss(labels, scores, labels=every_class)),
        "confusion": confusion.tolist(),
        "classes": {
            name: {
                "images": int(confusion[k].sum()),
                "recall": recalls[k],
                "precision": _share(confusion[k, k], confusion[:, k].sum()),
            }
            for k, name in enumerate(class_names)
        },
    }


def head_scores(logits: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Accuracy and log loss of one head: logits (n, K), labels (n,)."""
    from sklearn.metrics import accuracy_score, log_loss

    return {
        "accuracy": float(accuracy_score(labels, logits.argmax(axis=1))),
        "log_loss": float(log_loss(labels, softmax(logits), labels=np.arange(logits.shape[1]))),
    }


def area_under_roc(scores: np.ndarray, labels: np.ndarray) -> float | None:
    """AUROC of the second of two classes; of more, the mean of one against the rest. None where a class is missing."""
    from sklearn.metrics import roc_auc_score

    if len(np.unique(labels)) < scores.shape[1]:
        return None
    if scores.shape[1] == 2:
        return float(roc_auc_score(labels, scores[:, 1]))
    return float(roc_auc_score(labels, scores, multi_class="ovr", average="macro"))


def brier_score(scores: np.ndarray, labels: np.ndarray) -> float:
    """Half the squared distance of scores and truth, mean over images: 0 (sure and right) to 1 (sure and wrong)."""
    from sklearn.metrics import brier_score_loss

    return float(brier_score_loss(labels, scores, labels=np.arange(scores.shape[1]), scale_by_half=True))


def _share(part: int, whole: int) -> float | None:
    return float(part / whole) if whole else None
