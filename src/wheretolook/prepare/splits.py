"""Train, validation and test: stratified, seeded, and never a patient in two of them."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np

from wheretolook.base.errors import InputError
from wheretolook.dataset.prepared import SPLITS
from wheretolook.images.class_level import drawn_splits
from wheretolook.params.prepare import compile_pattern, quoted


def groups_of(names: Sequence[str], pattern: str) -> list[str]:
    """The group of each file name: what the pattern's first group matches.

    Args:
        names: file names without their folders.
        pattern: a regular expression, searched in the name; "" puts each file into no group ('').

    Raises:
        InputError: no regular expression, one without a group, or one that does not match some names.
    """
    if not pattern:
        return [""] * len(names)
    expression = compile_pattern(pattern)
    found = [expression.search(name) for name in names]
    missed = [name for name, match in zip(names, found, strict=True) if not (match and match.group(1))]
    if missed:
        raise InputError(
            (
                f"prepare.group_pattern {quoted(pattern)}: matches no group in {len(missed)} of {len(names)} "
                f"file names, the first {', '.join(missed[:3])}"
            ),
            hint="change the pattern, or '' for no groups",
        )
    return [match.group(1) for match in found if match]


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
        (N,) int64, index into `wheretolook.dataset.prepared.SPLITS`.
    """
    shares = (1 - val_share - test_share, val_share, test_share)
    filling = _Filling(class_index, units, np.outer(shares, np.bincount(class_index).astype(float)))
    sizes = np.bincount(units).astype(float)
    # Sizes are blurred, so that another seed also puts the largest units elsewhere.
    order = np.argsort(-sizes * np.random.default_rng(seed).uniform(0.5, 1, len(sizes)), kind="stable")
    split_of_unit = np.zeros(len(sizes), dtype=np.int64)
    for unit in order:
        split_of_unit[unit] = np.argmin(filling.changes(unit))
        filling.add(unit, split_of_unit[unit])
    _improve(split_of_unit, filling, order)
    return split_of_unit[units]


def complete_splits(
    official: Sequence[str], class_index: np.ndarray, units: np.ndarray, val_share: float, test_share: float, seed: int
) -> np.ndarray:
    """Keep an official split as it is, and draw what it lacks, val or test, from its train.

    Args:
        official: the split of each image, "train", "val" or "test".
        class_index, units, seed: as in `assign_splits`.
        val_share, test_share: of each class' images in train; unused where the split is there.

    Returns:
        (N,) int64, index into `wheretolook.dataset.prepared.SPLITS`.
    """
    splits = np.array([SPLITS.index(split) for split in official])
    missing = drawn_splits(official)
    if missing:
        train = np.flatnonzero(splits == SPLITS.index("train"))
        shares = [share if split in missing else 0.0 for split, share in (("val", val_share), ("test", test_share))]
        splits[train] = assign_splits(
            class_index[train], np.unique(units[train], return_inverse=True)[1], shares[0], shares[1], seed
        )
    return splits


class _Filling:
    """How many images of each class each split holds so far, and how far that is from the targets.

    What is kept of the units grows with the images, never with units times classes. The costs of all classes are
    kept too, and are summed anew each time, in one order: rounding decides between splits that are alike.
    """

    def __init__(self, class_index: np.ndarray, units: np.ndarray, targets: np.ndarray) -> None:
        count = class_index.max() + 1
        pairs, self._images = np.unique(units * count + class_index, return_counts=True)
        self._classes = pairs % count
        self._starts = np.searchsorted(pairs // count, np.arange(units.max() + 2))
        self._targets, self._filled = targets, np.zeros_like(targets)  # (3, C)
        self._costs = _costs(self._filled, targets)

    def changes(self, unit: int, here: int | None = None) -> np.ndarray:
        """How the cost changes when a unit is added to each split, (3,); `here` is the one where it stands, if any."""
        classes, images = self._unit(unit)
        tried = self._filled[:, classes] + images
        if here is not None:
            tried[here] = self._filled[here, classes] - images
        costs = self._costs.copy()
        costs[:, classes] = _costs(tried, self._targets[:, classes])
        change = costs.sum(axis=-1) - self._costs.sum(axis=-1)
        if here is not None:
            change[here] *= -1
        return change

    def add(self, unit: int, split: int, sign: int = 1) -> None:
        """Put a unit into a split, or take it out by a sign of -1."""
        classes, images = self._unit(unit)
        self._filled[split, classes] += sign * images
        self._costs[split, classes] = _costs(self._filled[split, classes], self._targets[split, classes])

    def _unit(self, unit: int) -> tuple[np.ndarray, np.ndarray]:
        """Its classes, and how many images it has of each."""
        own = slice(self._starts[unit], self._starts[unit + 1])
        return self._classes[own], self._images[own]


def _costs(filled: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """How far each count is from its target."""
    # A class that is missing altogether costs more than any uneven share.
    return (filled - targets) ** 2 / np.maximum(targets, 1e-9) + 1e3 * (filled == 0) * (targets > 0)


def _improve(split_of_unit: np.ndarray, filling: _Filling, order: np.ndarray) -> None:
    """Move single units between splits, in place, as long as a round over all of them still brings the cost down."""
    for _ in range(20):
        moved = False
        for unit in order:
            here = split_of_unit[unit]
            change = filling.changes(unit, here)
            there = np.argmin(change)
            if change[there] < change[here] - 1e-9:
                filling.add(unit, here, -1)
                filling.add(unit, there)
                split_of_unit[unit], moved = there, True
        if not moved:
            break


def check_classes(
    class_names: Sequence[str], units: np.ndarray, rare_classes: str, official: Sequence[str] = ()
) -> dict[str, dict[str, Any]]:
    """Find the classes that cannot stand in every split.

    Args:
        class_names: of each image.
        units: (N,) int64, images of one unit cannot be parted (`connected_units`).
        rare_classes: "drop" gives them back, "refuse" refuses them.
        official: the split of each image, where folders say it.

    Returns:
        {class name: {"images", "reason"}} of those to leave out.

    Raises:
        InputError: there is one and `rare_classes` is "refuse", or fewer than two classes would be left.
    """
    if official:
        return _check_official(class_names, units, rare_classes, official)
    images, parts = Counter(class_names), defaultdict(set)
    for name, unit in zip(class_names, units.tolist(), strict=True):
        parts[name].add(unit)
    rare = {
        name: {"images": images[name], "reason": _reason(images[name], len(parts[name]))}
        for name in sorted(images)
        if len(parts[name]) < len(SPLITS)
    }
    reasons = ", ".join(f"{name} ({found['reason']})" for name, found in rare.items())
    needed = f"the splits {', '.join(SPLITS)} need {len(SPLITS)} images that can be parted"
    return _judged(rare, reasons, needed, len(images), rare_classes)


def _check_official(
    class_names: Sequence[str], units: np.ndarray, rare_classes: str, official: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """As `check_classes`, where folders say the splits: each has images of the class, and train enough to draw from."""
    images, parts, present = Counter(class_names), defaultdict(set), defaultdict(set)
    for name, unit, split in zip(class_names, units.tolist(), official, strict=True):
        present[name].add(split)
        if split == "train":
            parts[name].add(unit)
    drawn = drawn_splits(official)
    rare = {}
    for name in sorted(images):
        lacking = sorted(set(official) - present[name])
        if lacking or len(parts[name]) <= len(drawn):
            reason = f"none in {lacking[0]}" if lacking else f"{len(parts[name])} in train that can be parted"
            rare[name] = {"images": images[name], "reason": reason}
    reasons = ", ".join(f"{name} ({found['reason']})" for name, found in rare.items())
    needed = "each split needs images of each class"
    if drawn:
        needed += f", and {' and '.join(drawn)}, which no folder holds, are drawn from train"
    return _judged(rare, reasons, needed, len(images), rare_classes)


def _judged(rare: dict, reasons: str, needed: str, classes: int, rare_classes: str) -> dict[str, dict[str, Any]]:
    if rare and rare_classes == "refuse":
        raise InputError(
            f"prepare: too rare: {reasons}", hint=f"{needed}; add images, or set prepare.rare_classes to drop"
        )
    if classes - len(rare) < 2:
        raise InputError(
            f"prepare: fewer than two classes are left without the rare: {reasons}", hint=f"{needed}; add images"
        )
    return rare


def _reason(images: int, parts: int) -> str:
    count = f"{images} image{'s' * (images != 1)}"
    return count if images == parts else f"{count} in {parts} group{'s' * (parts != 1)} or set of duplicates"
