"""Recall of each class and balanced accuracy, with intervals whose unit is the group."""

import numpy as np

from wheretolook.analysis.statistics.bootstrap import effective_number, group_sums, wilson_interval
from wheretolook.analysis.statistics.enough import FEWEST_GROUPS


def effective_groups(labels: np.ndarray, groups: np.ndarray) -> dict[int, float]:
    """Effective number of groups of each class that has images, by class: labels (n,) and groups (n,)."""
    classes, codes = np.unique(labels), np.unique(groups, return_inverse=True)[1]
    sizes = [np.bincount(codes[labels == k]) for k in classes]
    return {int(k): float(effective_number(each)) for k, each in zip(classes, sizes, strict=True)}


def scarce_classes(labels: np.ndarray, groups: np.ndarray) -> dict[int, int]:
    """Classes with an effective number of groups below ten, which leave every balanced accuracy without an interval.

    Args:
        labels: (n,) int64.
        groups: (n,) integers.

    Returns:
        That number, rounded down, by class.
    """
    return {k: int(number) for k, number in effective_groups(labels, groups).items() if number < FEWEST_GROUPS}


def recall_interval(right: np.ndarray, groups: np.ndarray) -> tuple[float, float, float]:
    """Recall of one class with Wilson's interval; the trials are images over the design effect of their groups.

    The lower end is never above that of a class without an error, whose groups count as trials: a design effect that
    is estimated from a handful of errors must not make a worse network look surer.

    Args:
        right: (m,) bool, whether each of the class's images was classified right, m >= 1.
        groups: (m,) group of each.

    Returns:
        Recall, and both ends.
    """
    recall, count = float(right.mean()), len(right)
    codes = np.unique(groups, return_inverse=True)[1]
    sizes = np.bincount(codes)
    whole = float(effective_number(sizes))
    trials = float(count)
    if len(sizes) < count:
        residuals = np.bincount(codes, weights=right - recall)
        simple = count * recall * (1 - recall)
        design = float((residuals**2).sum() / simple) if simple > 0 else np.inf
        trials = min(count / design, count) if np.isfinite(design) and design > 0 else whole
        trials = max(trials, min(whole, count))
    low, high = wilson_interval(recall, trials)
    return recall, min(low, wilson_interval(1.0, whole)[0]), max(high, 1 - wilson_interval(1.0, whole)[0])


def balanced_accuracy_interval(right: np.ndarray, labels: np.ndarray, groups: np.ndarray) -> tuple[float, float] | None:
    """95 % interval of the mean recall of the classes that are there.

    The limits of the recalls are combined by their distances from the recalls (MOVER: Zou and Donner 2008), with the
    correlation that groups with images of several classes bring in (Zou 2007).

    Args:
        right: (n,) bool, whether each image was classified right.
        labels: (n,) int64.
        groups: (n,) integers.

    Returns:
        (low, high), or None where a class's effective number of groups is below ten.
    """
    if not len(labels) or scarce_classes(labels, groups):
        return None
    classes = np.unique(labels)
    found = np.array([recall_interval(right[labels == k], groups[labels == k]) for k in classes])
    recalls, below, above = found[:, 0], found[:, 0] - found[:, 1], found[:, 2] - found[:, 0]
    together = _correlation(right, labels, groups, classes, recalls)
    mean = recalls.mean()
    low, high = (np.sqrt(max(ends @ together @ ends, 0)) / len(classes) for ends in (below, above))
    return float(max(mean - low, 0)), float(min(mean + high, 1))


def _correlation(
    right: np.ndarray, labels: np.ndarray, groups: np.ndarray, classes: np.ndarray, recalls: np.ndarray
) -> np.ndarray:
    """Correlation of the classes' recalls over groups, (K, K); the identity where no group has two classes."""
    codes, count = np.unique(groups, return_inverse=True)[1], len(np.unique(groups))
    member = labels[:, None] == classes
    sums = group_sums(np.where(member, right[:, None] - recalls, 0.0), codes, count)
    products = sums.T @ sums
    spread = np.sqrt(np.diag(products))
    there = np.outer(spread, spread) > 0
    found = np.where(there, products / np.where(there, np.outer(spread, spread), 1), 0)
    np.fill_diagonal(found, 1)
    return found
