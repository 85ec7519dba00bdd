"""Contribution of each place (cell, or region of the masks) to a class's contrast of logits, without the bias."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.ndimage import label

from wheretolook.analysis.explained import Target
from wheretolook.analysis.grid import regions_on_grid, row_blocks, to_grid
from wheretolook.analysis.statistics.permutation import PlaceTest, design_of, place_test

# They don't overlap: "foreground", as results have it, is the rest of the foreground, without evidence and mark.
REGIONS = ("evidence", "mark", "foreground", "background", "unknown")
# What a region lies in: the first of these that an image has. A mark was put on the picture, not on the thing.
SURROUNDINGS = {"evidence": ("foreground", "background"), "mark": ("background", "foreground")}


@dataclass(frozen=True)
class Contributions:
    """The contrast map of one class, for the images of all classes alike, summed by place.

    Attributes:
        values: (n, c) float32; a row sums to the contrast of logits less that of biases.
        area: (n, c) float32, each place's share of the image.
        names: of the places; empty where they are the cells of a grid.
        grid: (h, w) of the cells; None where places are regions.
    """

    values: np.ndarray
    area: np.ndarray
    names: tuple[str, ...]
    grid: tuple[int, int] | None


def by_cell(
    target: Target, rows: np.ndarray, class_index: int, grid: tuple[int, int], other: int | None = None
) -> Contributions:
    """Each cell's contribution, for images that show their things at the same place (faces that are aligned).

    Args:
        target: the maps.
        rows: (n,) int64, images.
        class_index: the class.
        grid: (h, w), at most the maps' own: cells are averaged by area, which leaves the sum over them as it is.
        other: the class that it is contrasted with; default: all others alike.
    """
    blocks = [_fixed_contrast(target, block, class_index, other) for block in _blocks(target, rows)]
    maps = np.concatenate([to_grid(block, grid) for block in blocks])
    values = maps.reshape(len(rows), -1) / np.float32(maps[0].size)
    area = np.full((1, values.shape[1]), 1 / values.shape[1], dtype=np.float32)
    return Contributions(values, np.broadcast_to(area, values.shape), (), grid)


def by_region(
    target: Target, rows: np.ndarray, class_index: int, masks: np.ndarray | None, other: int | None = None
) -> Contributions:
    """Each region's contribution, for images whose things lie anywhere.

    What evidence and mark contribute is what they have beyond their surroundings (`beyond_surroundings`).

    Args:
        target: the maps.
        rows: (n,) int64, images.
        class_index: the class.
        masks: (N, S, S) uint8 labels, memory-mapped.
        other: the class that it is contrasted with; default: all others alike.

    Raises:
        ValueError: no masks.
    """
    if masks is None:
        raise ValueError("regions need masks")
    values, areas = [], []
    for block in row_blocks(rows, 4 * 4 * int(np.prod(masks.shape[1:]))):
        regions = regions_on_grid(np.asarray(masks[block]), target.grid)
        rest_of_foreground = regions.foreground - regions.evidence
        parts = [regions.evidence, regions.mark, rest_of_foreground]
        parts.append(regions.known - sum(parts))
        parts.append(1 - regions.known)
        area = np.stack(parts, axis=1)
        maps = _fixed_contrast(target, block, class_index, other)
        areas.append(area.mean(axis=(2, 3)))
        found = np.einsum("nrhw,nhw->nr", area, maps) / np.float32(maps[0].size)
        values.append(beyond_surroundings(found, areas[-1]))
    return Contributions(np.concatenate(values), np.concatenate(areas), REGIONS, None)


def beyond_surroundings(values: np.ndarray, area: np.ndarray) -> np.ndarray:
    """Contributions of regions, those of evidence and mark less what as large a part of their surroundings has.

    Images of the rest have no evidence, and so no contribution of it. Counted from zero, evidence would separate the
    classes even for a network whose map is flat over every cell, infected or not: a CAM's zero is arbitrary, as the
    bias is no part of it. What is taken off stays with the surroundings, so that sums stay the same.

    Args:
        values: (n, 5), as in REGIONS.
        area: (n, 5), shares of the image.
    """
    out = values.copy()
    for region, around in SURROUNDINGS.items():
        left = np.ones(len(values), dtype=bool)
        for place in (REGIONS.index(name) for name in around):
            there = left & (area[:, place] > 0)
            level = values[there, place] / area[there, place]
            moved = level * area[there, REGIONS.index(region)]
            out[there, REGIONS.index(region)] -= moved
            out[there, place] += moved
            left &= ~there
    return out


def _fixed_contrast(target: Target, rows: np.ndarray, class_index: int, other: int | None) -> np.ndarray:
    """One contrast for images of all classes, (n, h, w): a contrast of each image's own class would depend on it."""
    return target.named_class(rows, class_index) if other is None else target.two_classes(rows, class_index, other)


def _blocks(target: Target, rows: np.ndarray) -> list[np.ndarray]:
    return list(row_blocks(rows, 4 * int(np.prod(target.array.shape[1:]))))


ALPHA = 0.05


@dataclass(frozen=True)
class ClassDifference:
    """One model's test.

    Attributes:
        classes: class indices that were compared with the rest; of two classes one, as the other is its negative.
        contributions: of each of those.
        test: rows as `classes`.
    """

    classes: list[int]
    contributions: list[Contributions]
    test: PlaceTest


def tested_classes(count: int) -> list[int]:
    """Classes to compare with the rest: all of them, but of two only the first."""
    return [0] if count == 2 else list(range(count))


def difference(
    contributions: Mapping[int, Contributions], labels: np.ndarray, groups: np.ndarray, permutations: int, seed: int
) -> ClassDifference:
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
    return ClassDifference(list(contributions), list(contributions.values()), test)


def by_place(found: ClassDifference, row: int) -> list[dict[str, Any]]:
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


def found_cells(found: ClassDifference, row: int) -> dict[str, dict[str, Any]] | None:
    """Cells that differ (p up to 0.05), by way, and each connected patch of them; None where there is no p-value."""
    test, grid = found.test, found.contributions[row].grid
    if test.p is None or grid is None:
        return None
    out = {}
    for way, sign in (("more", 1), ("less", -1)):
        chosen = (sign * test.t[row] > 0) & (test.p[row] <= ALPHA)
        out[way] = _shares(test.difference[row], chosen) | {
            "patches": [
                {"rows": _span(np.any(patch, axis=1)), "columns": _span(np.any(patch, axis=0)), "grid": list(grid)}
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
