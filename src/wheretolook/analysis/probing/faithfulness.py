"""Does the score fall where the map says it should? Figures from scores after removal, by class."""

from typing import Any

import numpy as np

from wheretolook.analysis.statistics.bootstrap import mean_intervals
from wheretolook.analysis.statistics.classification import softmax
from wheretolook.analysis.statistics.enough import FEWEST_IMAGES

KINDS = ("cam", "random", "other", "centre", "evidence")
GAPS = {"random": 1, "other": 1, "centre": 1, "evidence": -1}  # less the CAM's, or the CAM's less it: expected above 0
KEPT = 0.5  # a class whose filled image keeps more of its score than this has nothing that could be taken out


def log_odds(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Logarithm of the odds of each image's class against all others together: (n, K) and (n,) to (n,) float64."""
    rows = np.arange(len(logits))
    rest = logits.astype(np.float64).copy()
    own = rest[rows, labels].copy()
    rest[rows, labels] = -np.inf
    top = rest.max(axis=1)
    return own - top - np.log(np.exp(rest - top[:, None]).sum(axis=1))


def class_faithfulness(
    logits: dict[str, np.ndarray], labels: np.ndarray, groups: np.ndarray, resamples: int, seed: int
) -> dict[str, Any]:
    """Figures of one class.

    Args:
        logits: (n, K) after removal by each of KINDS (those there are), of the `whole` image, and of the `filled` one.
        labels: (n,) int64, all the same class.
        groups: (n,) group of each image.
        resamples: of each interval.
        seed: of each interval.
    """
    scores = {kind: softmax(values)[np.arange(len(labels)), labels] for kind, values in logits.items()}
    odds = {kind: log_odds(values, labels) for kind, values in logits.items()}
    there = [kind for kind in KINDS if kind in logits]
    return {
        "images": len(labels),
        "undefined": bool(scores["filled"].mean() > KEPT * scores["whole"].mean()),
        **{
            kind: {"score": float(scores[kind].mean()), "log_odds": float(odds[kind].mean())}
            for kind in ("whole", "filled")
        },
        "removed": {
            kind: {"score": float(scores[kind].mean()), "log_odds": float(odds[kind].mean())} for kind in there
        },
        "gaps": {
            kind: {
                "score": _gap(sign * (scores[kind] - scores["cam"]), groups, resamples, seed),
                "log_odds": _gap(sign * (odds[kind] - odds["cam"]), groups, resamples, seed),
            }
            for kind, sign in GAPS.items()
            if kind in there
        },
    }


def _gap(values: np.ndarray, groups: np.ndarray, resamples: int, seed: int) -> dict[str, float | None]:
    """Mean of paired differences, with its interval where there are images and groups enough."""
    ends = (float(values.min()), float(values.max()))
    means = mean_intervals(values[:, None], np.ones((1, 1), bool), groups, resamples, seed, ends)
    enough = bool(means.bounded[0]) and len(values) >= FEWEST_IMAGES
    low, high = (float(end[0]) if enough else None for end in (means.low, means.high))
    return {"mean": float(means.mean[0]), "low": low, "high": high}
