"""Where two classes differ in a model's eyes: each class against the rest, at every place, on the held-out split."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from wheretolook.analysis.contributions import Contributions
from wheretolook.analysis.relabel import design_of
from wheretolook.analysis.welch import PlaceTest, place_test

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
    valid = np.ones(values.shape[1:], dtype=bool)
    test = place_test(values, valid, list(contributions), design_of(labels, groups), permutations, seed)
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


def found_cells(found: Difference, row: int) -> dict[str, dict[str, float | int | None]]:
    """Cells that differ (p up to 0.05), with their share of the difference of mean logits and of the area, by way."""
    test = found.test
    total = float(test.difference[row].sum())
    out: dict[str, dict[str, float | int | None]] = {}
    for way, sign in (("more", 1), ("less", -1)):
        chosen = (sign * test.t[row] > 0) & (np.ones_like(test.t[row]) if test.p is None else test.p[row] <= ALPHA)
        chosen &= test.p is not None
        part = float(test.difference[row][chosen].sum())
        share = part / total if total else None
        out[way] = {"cells": int(chosen.sum()), "share_of_difference": share, "share_of_area": float(chosen.mean())}
    return out
