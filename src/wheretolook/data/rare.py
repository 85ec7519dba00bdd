"""Classes with too few images, or too few groups, to stand in every split."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np

from wheretolook.data.prepared import SPLITS
from wheretolook.data.refusal import Refusal
from wheretolook.data.split_folders import drawn_splits


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
        Refusal: there is one and `rare_classes` is "refuse", or fewer than two classes would be left.
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
        raise Refusal(f"prepare: too rare: {reasons}; {needed}; add images, or set prepare.rare_classes to drop")
    if classes - len(rare) < 2:
        raise Refusal(f"prepare: fewer than two classes are left without the rare: {reasons}; {needed}; add images")
    return rare


def _reason(images: int, parts: int) -> str:
    count = f"{images} image{'s' * (images != 1)}"
    return count if images == parts else f"{count} in {parts} group{'s' * (parts != 1)} or set of duplicates"
