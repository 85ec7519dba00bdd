"""Balanced accuracy with an interval whose unit is the group."""

import numpy as np

from wheretolook.analysis.statistics.bootstrap import LEVEL, group_sums, weights_in_blocks
from wheretolook.analysis.statistics.enough import FEWEST_GROUPS


def scarce_classes(labels: np.ndarray, groups: np.ndarray) -> dict[int, int]:
    """Classes with fewer than ten groups, which leave every balanced accuracy without an interval.

    Args:
        labels: (n,) int64.
        groups: (n,) integers.

    Returns:
        How many groups each of them has, by class.
    """
    classes, counts = np.unique(np.unique(np.stack([labels, groups]), axis=1)[0], return_counts=True)
    found = zip(classes.tolist(), counts.tolist(), strict=True)
    return {class_index: count for class_index, count in found if count < FEWEST_GROUPS}


def balanced_accuracy_interval(
    right: np.ndarray, labels: np.ndarray, groups: np.ndarray, resamples: int, seed: int
) -> tuple[float, float] | None:
    """Percentile bootstrap of groups for the mean recall of the classes that are there.

    A class without a single error has no spread to draw from: its groups then count as trials, and the end of the
    exact binomial interval (Clopper and Pearson 1934), (alpha / 2)^(1 / groups), bounds its recall from below.

    Args:
        right: (n,) bool, whether each image was classified right.
        labels: (n,) int64.
        groups: (n,) integers.
        resamples: number of resamples.
        seed: of the resampling.

    Returns:
        (low, high), or None with fewer than ten groups in a class.
    """
    if not len(labels) or scarce_classes(labels, groups):
        return None
    classes, alpha = np.unique(labels), 1 - LEVEL
    codes, count = np.unique(groups, return_inverse=True)[1], len(np.unique(groups))
    member = labels[:, None] == classes
    sizes, hits = group_sums(member, codes, count), group_sums(member & right[:, None], codes, count)
    present = (sizes > 0).sum(axis=0)
    flawless = hits.sum(axis=0) == sizes.sum(axis=0)
    means, least = [], []  # of the recalls of each resample, and with the bound for classes without an error
    for weights in weights_in_blocks(count, resamples, seed):
        drawn = (weights @ sizes, weights @ hits)
        there = drawn[0] > 0  # a resample may miss a class of few groups
        recalls = np.where(there, drawn[1] / np.maximum(drawn[0], 1), hits.sum(axis=0) / sizes.sum(axis=0))
        means.append(recalls.mean(axis=1))
        least.append(np.where(flawless, (alpha / 2) ** (1 / present), recalls).mean(axis=1))
    low = np.quantile(np.concatenate(least), alpha / 2)
    return float(low), float(np.quantile(np.concatenate(means), 1 - alpha / 2))
