"""What each place of an image adds to a class's contrast of logits, bias aside: cells, or regions of the masks."""

from dataclasses import dataclass

import numpy as np

from wheretolook.analysis.maps.blocks import row_blocks
from wheretolook.analysis.maps.grid import to_grid
from wheretolook.analysis.maps.regions import regions_on_grid
from wheretolook.analysis.maps.target import Target

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
    target: Target, rows: np.ndarray, class_index: int, masks: np.ndarray, other: int | None = None
) -> Contributions:
    """Each region's contribution, for images whose things lie anywhere.

    What evidence and mark contribute is what they have beyond their surroundings (`beyond_surroundings`).

    Args:
        target: the maps.
        rows: (n,) int64, images.
        class_index: the class.
        masks: (N, S, S) uint8 labels, memory-mapped.
        other: the class that it is contrasted with; default: all others alike.
    """
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

    Images of the rest have no evidence, and so no contribution of it. Were it counted from zero, it would tell the
    classes apart also for a network that has one and the same level all over a cell, infected or not: a CAM's zero is
    arbitrary, as the bias is no part of it. What is taken off stays with the surroundings, so that sums stay the same.

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
