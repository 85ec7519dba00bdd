"""Split images into train, val and test: stratified by class, seeded, and by group (patient)."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np

from wheretolook.base.errors import InputError
from wheretolook.base.prepared import SPLITS, Prepared
from wheretolook.images.class_level import drawn_splits
from wheretolook.params.prepare_options import PrepareOptions, compile_pattern, quoted


def groups_of(names: Sequence[str], pattern: str) -> list[str]:
    """The group (patient, slide) of each file: the text that the pattern's first group matches.

    Args:
        names: file names without their folders.
        pattern: a regular expression that is searched in the name; '' for no groups.

    Raises:
        InputError: no regular expression, one without a group, or one that does not match all names.
    """
    if not pattern:
        return [""] * len(names)
    expression = compile_pattern(pattern)
    found = [expression.search(name) for name in names]
    missed = [name for name, match in zip(names, found, strict=True) if not (match and match.group(1))]
    if missed:
        raise InputError(
            f"prepare.group_pattern {quoted(pattern)}",
            expected="a group in each file name",
            found=f"none in {len(missed)} of {len(names)} file names, such as {', '.join(missed[:3])}",
            hint="change the pattern, or set it to '' for no groups",
        )
    return [match.group(1) for match in found if match]


def connected_units(groups: Sequence[str], pixels: Sequence[str]) -> np.ndarray:
    """Units of images that must be in the same split, because they share a group or have equal pixels.

    Args:
        groups: group of each image, '' for none.
        pixels: hash of each image's pixels.

    Returns:
        (N,) int64, the unit of each image, numbered by first occurrence.
    """
    parent = list(range(len(groups)))

    def root(row: int) -> int:
        while parent[row] != row:
            parent[row] = parent[parent[row]]
            row = parent[row]
        return row

    for keys in (groups, pixels):
        first: dict[str, int] = {}
        for row, key in enumerate(keys):
            if key and (other := first.setdefault(key, row)) != row:
                a, b = root(row), root(other)
                parent[max(a, b)] = min(a, b)
    return np.unique(np.fromiter(map(root, range(len(groups))), np.int64, len(groups)), return_inverse=True)[1]


def assign_splits(
    class_index: np.ndarray, units: np.ndarray, val_share: float, test_share: float, seed: int
) -> np.ndarray:
    """Assign units to splits so that each split has about its share of each class.

    Greedy: units, large ones first, go to the split that brings the counts closest to the targets (chi-square distance
    over classes and splits). Then single units are moved as long as that reduces the distance.

    Args:
        class_index: (N,) int64.
        units: (N,) int64; images of one unit are kept in one split.
        val_share, test_share: share of each class in the split.
        seed: random seed of the order of units of similar size.

    Returns:
        (N,) int64, index into `wheretolook.base.prepared.SPLITS`.
    """
    shares = (1 - val_share - test_share, val_share, test_share)
    filling = _Filling(class_index, units, np.outer(shares, np.bincount(class_index).astype(float)))
    sizes = np.bincount(units).astype(float)
    # Random factors on the sizes, so that another seed also moves the largest units.
    order = np.argsort(-sizes * np.random.default_rng(seed).uniform(0.5, 1, len(sizes)), kind="stable")
    split_of_unit = np.zeros(len(sizes), dtype=np.int64)
    for unit in order.tolist():
        change = filling.changes(unit)
        split = change.index(min(change))
        filling.add(unit, split)
        split_of_unit[unit] = split
    _improve(split_of_unit, filling, order)
    return split_of_unit[units]


def complete_splits(
    official: Sequence[str], class_index: np.ndarray, units: np.ndarray, val_share: float, test_share: float, seed: int
) -> np.ndarray:
    """Keep the official splits, and draw a missing val or test split from train.

    Args:
        official: the split of each image, "train", "val" or "test".
        class_index, units, seed: as in `assign_splits`.
        val_share, test_share: share of each class's training images; unused for an official split.

    Returns:
        (N,) int64, index into `wheretolook.base.prepared.SPLITS`.
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
    """Counts of each class in each split so far, and their distance from the targets.

    Memory grows with the number of images, not with units times classes. The costs of all classes are always summed in
    the same order, since rounding decides between equally good splits. Single costs are computed as Python's numbers:
    most units have one class, and NumPy takes longer for one number than for the sum over all classes.
    """

    def __init__(self, class_index: np.ndarray, units: np.ndarray, targets: np.ndarray) -> None:
        count = class_index.max() + 1
        pairs, images = np.unique(units * count + class_index, return_counts=True)
        self._classes, self._images = (pairs % count).tolist(), images.tolist()
        self._starts = np.searchsorted(pairs // count, np.arange(units.max() + 2)).tolist()
        self._targets, self._filled = targets.tolist(), np.zeros_like(targets).tolist()  # (3, C)
        self._costs = np.array([[_cost(0.0, target) for target in row] for row in self._targets])
        self._total = self._costs.sum(axis=-1)
        self._decided: dict[tuple[int | None, int, int], list[float]] = {}  # since the last change of a count

    def changes(self, unit: int, here: int | None = None) -> list[float]:
        """Change of the cost when a unit is added to each of the 3 splits. `here` is its current split, if any."""
        start, end = self._starts[unit], self._starts[unit + 1]
        single = (here, self._classes[start], self._images[start])
        if end == start + 1 and single in self._decided:
            return self._decided[single]
        classes, images = self._classes[start:end], self._images[start:end]
        before = [[self._costs.item(split, one) for one in classes] for split in range(3)]
        for split, (filled, targets) in enumerate(zip(self._filled, self._targets, strict=True)):
            for one, number in zip(classes, images, strict=True):
                count = filled[one] - number if split == here else filled[one] + number
                self._costs[split, one] = _cost(count, targets[one])
        change: list[float] = (self._costs.sum(axis=-1) - self._total).tolist()
        for split, row in enumerate(before):
            for one, cost in zip(classes, row, strict=True):
                self._costs[split, one] = cost
        if here is not None:
            change[here] *= -1
        if end == start + 1:
            self._decided[single] = change
        return change

    def add(self, unit: int, split: int, sign: int = 1) -> None:
        """Add a unit to a split, or remove it (sign -1)."""
        for place in range(self._starts[unit], self._starts[unit + 1]):
            one = self._classes[place]
            self._filled[split][one] += sign * self._images[place]
            self._costs[split, one] = _cost(self._filled[split][one], self._targets[split][one])
        self._total = self._costs.sum(axis=-1)
        self._decided.clear()


def _cost(filled: float, target: float) -> float:
    """Distance of a count from its target."""
    distance = filled - target
    # A missing class costs more than any uneven share.
    return distance * distance / max(target, 1e-9) + (1e3 if filled == 0 and target > 0 else 0.0)


def _improve(split_of_unit: np.ndarray, filling: _Filling, order: np.ndarray) -> None:
    """Move single units between splits, in place, until a pass over all units no longer reduces the cost."""
    for _ in range(20):
        moved = False
        for unit in order.tolist():
            here = split_of_unit.item(unit)
            change = filling.changes(unit, here)
            there = change.index(min(change))
            if change[there] < change[here] - 1e-9:
                filling.add(unit, here, -1)
                filling.add(unit, there)
                split_of_unit[unit], moved = there, True
        if not moved:
            break


def check_classes(
    class_names: Sequence[str], units: np.ndarray, rare_classes: str, official: Sequence[str] = ()
) -> dict[str, dict[str, Any]]:
    """Find classes with too few images for all splits.

    Args:
        class_names: class of each image.
        units: (N,) int64; images of one unit are kept in one split (`connected_units`).
        rare_classes: "drop" returns such classes, "refuse" raises an error.
        official: the official split of each image, if any.

    Returns:
        {class name: {"images", "reason"}} of the classes to drop.

    Raises:
        InputError: there is such a class and `rare_classes` is "refuse", or fewer than two classes would be left.
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
    needed = f"{len(SPLITS)} or more independent images (or groups) of each class, one for each split"
    return _checked(rare, reasons, needed, len(images), rare_classes)


def check_test_set(class_names: Sequence[str], options: PrepareOptions, trained_on: Prepared) -> None:
    """Check that models of some data can be tested on images of these classes.

    Args:
        class_names: class of each image.
        options: of `prepare` for the test set.
        trained_on: data of the models.

    Raises:
        InputError: a class that the models do not know, or images of another size or form.
    """
    if unknown := sorted(set(class_names) - set(trained_on.class_names)):
        known = ", ".join(trained_on.class_names)
        raise InputError("classes of the test set", f"some of {known}", ", ".join(unknown), "rename or remove them")
    size, fit = trained_on.images.shape[1], trained_on.fit or options.fit
    if (options.size, options.fit) != (size, fit):
        found = f"{options.size} by {options.fit}"
        raise InputError("size of the test set", f"{size} by {fit}, as the models saw", found, "remove size and fit")


def _check_official(
    class_names: Sequence[str], units: np.ndarray, rare_classes: str, official: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """As `check_classes` for official splits; train needs enough images to draw a missing split."""
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
            reason = f"none in {lacking[0]}" if lacking else f"only {len(parts[name])} independent in train"
            rare[name] = {"images": images[name], "reason": reason}
    reasons = ", ".join(f"{name} ({found['reason']})" for name, found in rare.items())
    needed = "images of each class in each split"
    if drawn:
        needed += f", and enough in train to draw {' and '.join(drawn)}"
    return _checked(rare, reasons, needed, len(images), rare_classes)


def _checked(
    rare: dict[str, dict[str, Any]], reasons: str, needed: str, classes: int, rare_classes: str
) -> dict[str, dict[str, Any]]:
    if rare and rare_classes == "refuse":
        raise InputError("rare classes", needed, reasons, "add images, or set `prepare.rare_classes: drop`")
    if classes - len(rare) < 2:
        raise InputError(
            "rare classes", f"two or more classes with {needed}", f"fewer, without {reasons}", "add images"
        )
    return rare


def _reason(images: int, parts: int) -> str:
    count = f"{images} image{'s' * (images != 1)}"
    return count if images == parts else f"{count} in {parts} group{'s' * (parts != 1)} or set of duplicates"
