"""Classes with too few images, or too few groups, to stand in every split."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np

from wheretolook.data.prepared import SPLITS
from wheretolook.data.refusal import Refusal


def check_classes(class_names: Sequence[str], units: np.ndarray, rare_classes: str) -> dict[str, dict[str, Any]]:
    """Find the classes that cannot stand in every split.

    Args:
        class_names: of each image.
        units: (N,) int64, images of one unit cannot be parted (`connected_units`).
        rare_classes: "drop" gives them back, "refuse" refuses them.

    Returns:
        {class name: {"images", "reason"}} of those to leave out.

    Raises:
        Refusal: there is one and `rare_classes` is "refuse", or fewer than two classes would be left.
    """
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
    if rare and rare_classes == "refuse":
        raise Refusal(f"prepare: too rare: {reasons}; {needed}; add images, or set prepare.rare_classes to drop")
    if len(images) - len(rare) < 2:
        raise Refusal(f"prepare: fewer than two classes are left without the rare: {reasons}; {needed}; add images")
    return rare


def _reason(images: int, parts: int) -> str:
    count = f"{images} image{'s' * (images != 1)}"
    return count if images == parts else f"{count} in {parts} group{'s' * (parts != 1)} or set of duplicates"
