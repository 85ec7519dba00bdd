"""Train, validation and test: stratified, seeded, and never a patient in two of them."""

import re
from collections.abc import Sequence

import numpy as np

from wheretolook.data.refusal import Refusal


def groups_of(names: Sequence[str], pattern: str) -> list[str]:
    """The group of each file name: what the pattern's first group matches.

    Args:
        names: file names without their folders.
        pattern: a regular expression, searched in the name; "" puts each file into no group ('').

    Raises:
        Refusal: no regular expression, one without a group, or one that does not match some names.
    """
    if not pattern:
        return [""] * len(names)
    expression = compile_pattern(pattern)
    found = [expression.search(name) for name in names]
    missed = [name for name, match in zip(names, found, strict=True) if not (match and match.group(1))]
    if missed:
        raise Refusal(
            f"prepare.group_pattern {pattern!r}: matches no group in {len(missed)} of {len(names)} file names,"
            f" the first {', '.join(missed[:3])}; change the pattern, or '' for no groups"
        )
    return [match.group(1) for match in found if match]


def compile_pattern(pattern: str) -> re.Pattern[str]:
    """The regular expression of a pattern.

    Raises:
        Refusal: no regular expression, or one without a group.
    """
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise Refusal(f"prepare.group_pattern {pattern!r}: no regular expression ({error})") from error
    if expression.groups < 1:
        raise Refusal(
            f"prepare.group_pattern {pattern!r}: expected a group in parentheses, such as '^(C\\d+)'; found none"
        )
    return expression


def connected_units(groups: Sequence[str], pixels: Sequence[str]) -> np.ndarray:
    """Which images must stay in one split: those of one group, and those with the same pixels, taken together.

    Args:
        groups: group of each image, '' for none.
        pixels: hash of each image's pixels.

    Returns:
        (N,) int64, the unit of each image, numbered by first appearance.
    """
    parent = list(range(len(groups)))

    def root(row: int) -> int:
        while parent[row] != row:
            parent[row] = parent[parent[row]]
            row = parent[row]
        return row

    first: dict[tuple[str, str], int] = {}
    for row, keys in enumerate(zip(groups, pixels, strict=True)):
        for key in zip(("group", "pixels"), keys, strict=True):
            if key[1]:
                a, b = root(row), root(first.setdefault(key, row))
                parent[max(a, b)] = min(a, b)
    return np.unique([root(row) for row in range(len(groups))], return_inverse=True)[1]


def assign_splits(
    class_index: np.ndarray, units: np.ndarray, val_share: float, test_share: float, seed: int
) -> np.ndarray:
    """Put whole units into splits so that each class has near its share in each.

    Units go one by one, the large first, to the split whose counts are then nearest to the targets (a chi-square over
    classes and splits); then units are moved as long as that brings the counts nearer.

    Args:
        class_index: (N,) int64.
        units: (N,) int64, images of one unit stay together.
        val_share, test_share: of each class' images.
        seed: of the order in which units of like size are taken.

    Returns:
        (N,) int64, index into `wheretolook.data.prepared.SPLITS`.
    """
    counts = np.zeros((units.max() + 1, class_index.max() + 1))
    np.add.at(counts, (units, class_index), 1)
    targets = np.outer((1 - val_share - test_share, val_share, test_share), counts.sum(axis=0))
    # Sizes are blurred, so that another seed also puts the largest units elsewhere.
    order = np.argsort(-counts.sum(axis=1) * np.random.default_rng(seed).uniform(0.5, 1, len(counts)), kind="stable")
    split_of_unit = np.zeros(len(counts), dtype=np.int64)
    filled = np.zeros_like(targets)
    for unit in order:
        split_of_unit[unit] = np.argmin(_change(filled, targets, counts[unit]))
        filled[split_of_unit[unit]] += counts[unit]
    _improve(split_of_unit, counts, filled, targets, order)
    return split_of_unit[units]


def _cost(filled: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """How far the counts of each split are from their targets, summed over the last axis (classes)."""
    # A class that is missing altogether costs more than any uneven share.
    return ((filled - targets) ** 2 / np.maximum(targets, 1e-9) + 1e3 * (filled == 0) * (targets > 0)).sum(axis=-1)


def _change(filled: np.ndarray, targets: np.ndarray, unit: np.ndarray) -> np.ndarray:
    """How the cost changes when a unit is added to each split, (3,)."""
    return _cost(filled + unit, targets) - _cost(filled, targets)


def _improve(
    split_of_unit: np.ndarray, counts: np.ndarray, filled: np.ndarray, targets: np.ndarray, order: np.ndarray
) -> None:
    """Move single units between splits, in place, as long as a round over all of them still brings the cost down."""
    for _ in range(20):
        moved = False
        for unit in order:
            here = split_of_unit[unit]
            filled[here] -= counts[unit]
            change = _change(filled, targets, counts[unit])
            there = np.argmin(change)
            if change[there] < change[here] - 1e-9:
                split_of_unit[unit], moved = there, True
            filled[split_of_unit[unit]] += counts[unit]
        if not moved:
            break
