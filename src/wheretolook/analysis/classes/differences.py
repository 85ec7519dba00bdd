"""Where two classes differ in a model's eyes: each class against the rest, at every place, on the held-out split."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.ndimage import label

from wheretolook.analysis.classes.contributions import Contributions
from wheretolook.analysis.statistics.relabel import design_of
from wheretolook.analysis.statistics.welch import PlaceTest, place_test

ALPHA = 0.05


@dataclass(frozen=True)
class Difference:
    """One model's test.

    Attributes:
        classes: class indices that were held against the rest; of two classes one, as the other is its negative.
        contributions: of each of those.
        test: rows as `classes`.
    """

    classes: list[int]
    contributions: list[Contributions]
    test: PlaceTest


def tested_classes(count: int) -> list[int]:
    """Classes to hold against the rest: all of them, but of two only the first."""
    return [0] if count == 2 else list(range(count))


def difference(
    contributions: Mapping[int, Contributions], labels: np.ndarray, groups: np.ndarray, permutations: int, seed: int
) -> Difference:
    """Test the contributions of each class against the rest.

    Groups are formed by the true class, wrong predictions included.

    Args:
        contributions: by class index, of n images.
        labels: (n,) int64, true class.
        groups: (n,) group of each image.
        permutations: relabellings to draw.
        seed: of the relabellings.
    """
    values = np.stack([each.values for each in contributions.values()])
    test = place_test(values, list(contributions), design_of(labels, groups), groups, permutations, seed)
    return Difference(list(contributions), list(contributions.values()), test)


def by_place(found: Difference, row: int) -> list[dict[str, Any]]:
    """Figures of each place that exists in any image, for one class; `p` None where there is none."""
    where, test = found.contributions[row], found.test
    total = float(test.difference[row].sum())
    area = where.area.mean(axis=0)
    return [
        {
            "region": name,
            "difference": float(test.difference[row, j]),
            "share_of_difference": float(test.difference[row, j]) / total if total else None,
            "share_of_area": float(area[j]),
            "t": float(test.t[row, j]),
            "p": None if test.p is None else float(test.p[row, j]),
        }
        for j, name in enumerate(where.names)
        if area[j] > 0
    ]


def found_cells(found: Difference, row: int) -> dict[str, dict[str, Any]] | None:
    """Cells that differ (p up to 0.05), by way, and each connected patch of them; None where there is no p-value."""
    test, grid = found.test, found.contributions[row].grid
    if test.p is None or grid is None:
        return None
    out = {}
    for way, sign in (("more", 1), ("less", -1)):
        chosen = (sign * test.t[row] > 0) & (test.p[row] <= ALPHA)
        out[way] = _shares(test.difference[row], chosen) | {
            "patches": [
                {"rows": _span(patch.any(axis=1)), "columns": _span(patch.any(axis=0)), "grid": list(grid)}
                | _shares(test.difference[row], patch.ravel())
                for patch in patches_of(chosen.reshape(grid))
            ]
        }
    return out


def patches_of(chosen: np.ndarray) -> list[np.ndarray]:
    """Connected patches of cells that touch by their sides, the largest first: (h, w) bool, of (h, w) bool."""
    numbered, count = label(chosen)
    return sorted((numbered == i for i in range(1, count + 1)), key=lambda patch: -int(patch.sum()))


def _shares(difference: np.ndarray, chosen: np.ndarray) -> dict[str, float | int | None]:
    """Share of the difference of mean logits, and of the area, of some cells."""
    total = float(difference.sum())
    share = float(difference[chosen].sum()) / total if total else None
    return {"cells": int(chosen.sum()), "share_of_difference": share, "share_of_area": float(chosen.mean())}


def _span(there: np.ndarray) -> list[int]:
    """First and last row or column, counted from 1."""
    numbers = np.flatnonzero(there) + 1
    return [int(numbers[0]), int(numbers[-1])]
