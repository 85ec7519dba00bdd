"""Whether a network recognises a class: its recall, and its AUROC against each other class."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

from wheretolook.analysis.statistics.classification import effective_groups, recall_interval, wilson_interval

NEAREST = 10  # other classes that are compared where there are very many: those that the logits separate least
EVERY = 50  # classes up to which all others are compared

Interval = tuple[float, float, float]  # estimate, and both ends


@dataclass(frozen=True)
class Recognition:
    """One class in one model's logits.

    Attributes:
        recall: share of the class's images that are classified right, and its 95 % interval.
        chance: 1 / K.
        discrimination: by class index, area under the ROC curve of the difference of the two classes' logits, over
            images of both; with its 95 % interval.
    """

    recall: Interval
    chance: float
    discrimination: Mapping[int, Interval]

    def fails(self) -> int | None:
        """The other class that it is confused with, -1 for a recall that is not above chance; None where it is fine."""
        if self.recall[1] <= self.chance:
            return -1
        if not self.discrimination:
            return None
        worst = min(self.discrimination, key=lambda other: self.discrimination[other][1])
        return worst if self.discrimination[worst][1] <= 0.5 else None


def recognition(logits: np.ndarray, labels: np.ndarray, groups: np.ndarray) -> dict[int, Recognition]:
    """Recognition of each class that has images.

    The variance of an area under the curve A is at most A (1 - A) / min(m, n) (van Dantzig 1951), so that Wilson's
    interval with the smaller effective number of groups is a safe one.

    Args:
        logits: (n, K) float32.
        labels: (n,) int64.
        groups: (n,) integers.
    """
    effective, right = effective_groups(labels, groups), logits.argmax(axis=1) == labels
    out = {}
    for k in effective:
        own = labels == k
        others = _others(logits, labels, k, list(effective))
        found = {}
        for j in others:
            area = auc(logits[own, k] - logits[own, j], logits[labels == j, k] - logits[labels == j, j])
            found[j] = (area, *wilson_interval(area, min(effective[k], effective[j])))
        out[k] = Recognition(recall_interval(right[own], groups[own]), 1 / logits.shape[1], found)
    return out


def auc(own: np.ndarray, rest: np.ndarray) -> float:
    """Share of pairs in which the own value is higher; ties count half (Mann and Whitney 1947)."""
    ranks = rankdata(np.concatenate([own, rest]))[: len(own)]
    return float((ranks.sum() - len(own) * (len(own) + 1) / 2) / (len(own) * len(rest)))


def _others(logits: np.ndarray, labels: np.ndarray, k: int, classes: list[int]) -> list[int]:
    """Classes to compare with k."""
    others = [j for j in classes if j != k]
    if len(classes) <= EVERY:
        return others
    means = np.stack([logits[labels == j].mean(axis=0) for j in others])
    own = logits[labels == k].mean(axis=0)
    separation = (own[k] - own[others]) - (means[:, k] - means[np.arange(len(others)), others])
    return [others[i] for i in np.argsort(separation, kind="stable")[:NEAREST]]
