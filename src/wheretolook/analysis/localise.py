"""Localisation of all maps of a model, streamed over memory-mapped maps and masks."""

from typing import Any

import numpy as np

from wheretolook.analysis.blocks import row_blocks
from wheretolook.analysis.localisation import class_figures, image_figures
from wheretolook.analysis.regions import regions_on_grid
from wheretolook.analysis.target import Target


def stream_figures(target: Target, masks: np.ndarray, rows: np.ndarray) -> dict[str, np.ndarray]:
    """Figures of some images (`image_figures`), in blocks.

    Args:
        target: maps of one method and layer.
        masks: (N, S, S) uint8 labels, memory-mapped.
        rows: (n,) int64, the images.
    """
    blocks = [
        image_figures(target.true_class(block), regions_on_grid(np.asarray(masks[block]), target.grid))
        for block in row_blocks(rows, 4 * 4 * int(np.prod(masks.shape[1:])))
    ]
    return {key: np.concatenate([block[key] for block in blocks]) for key in blocks[0]}


def localise(
    target: Target,
    masks: np.ndarray,
    splits: dict[str, np.ndarray],
    class_names: tuple[str, ...],
    groups: np.ndarray,
    resamples: int,
    seed: int,
) -> dict[str, dict[str, Any]]:
    """Localisation of one method and layer: SPLIT, then CLASS, then the figures of `class_figures`.

    Args:
        target: the maps.
        masks: (N, S, S) uint8 labels.
        splits: split name to rows.
        class_names: in class order.
        groups: (N,) group of each image.
        resamples: for the intervals.
        seed: for the intervals.
    """
    found = stream_figures(target, masks, np.arange(len(masks)))
    out: dict[str, dict[str, Any]] = {}
    for split, rows in splits.items():
        out[split] = {}
        for k, name in enumerate(class_names):
            chosen = rows[target.labels[rows] == k]
            if len(chosen):
                own = {key: values[chosen] for key, values in found.items()}
                out[split][name] = class_figures(own, groups[chosen], resamples, seed)
    return out
