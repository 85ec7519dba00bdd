"""Share of each map's positive energy on the estimated foreground, where no mask says what the foreground is."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from tqdm import tqdm

from wheretolook.analysis.located.energy import area_share, energy_inside
from wheretolook.analysis.located.foreground import estimate_foreground
from wheretolook.analysis.located.localisation import region_figures
from wheretolook.analysis.located.localise import Sample
from wheretolook.analysis.maps.blocks import row_blocks
from wheretolook.analysis.maps.grid import to_grid
from wheretolook.analysis.maps.target import Target, foremost, open_target
from wheretolook.cams.store import Maps
from wheretolook.data.labels import FOREGROUND
from wheretolook.data.prepared import Prepared

REGION = "foreground"
Figures = dict[str, np.ndarray]


def has_foreground(masks: np.ndarray | None) -> bool:
    """Whether any mask (N, S, S) names a foreground."""
    if masks is None:
        return False
    blocks = row_blocks(np.arange(len(masks)), int(np.prod(masks.shape[1:])))
    return any(bool((masks[block] == FOREGROUND).any()) for block in blocks)


def estimate(
    maps: Maps, prepared: Prepared, sample: Sample, resamples: int, seed: int
) -> tuple[dict[str, Any], Figures | None] | None:
    """Energy on the estimated foreground of every method and layer, and per image of the foremost maps.

    None where masks name a foreground: what is known need not be estimated.
    """
    if has_foreground(prepared.masks):
        return None
    targets = {f"{m}.{y}": open_target(maps, m, y, prepared.labels) for m, y in maps.names}
    found = stream_foreground(targets, prepared.images)
    summed = {name: summarise_foreground(figures, sample, resamples, seed) for name, figures in found.items()}
    return summed, found.get(".".join(foremost(maps) or ()))


def stream_foreground(targets: Mapping[str, Target], images: np.ndarray) -> dict[str, Figures]:
    """Energy and area share of the estimated foreground in every image, for each of several maps.

    Args:
        targets: maps of any names.
        images: (N, S, S, 3) uint8, memory-mapped; each is looked at once.

    Returns:
        Each name with `foreground.energy` and `foreground.area_share`, (N,) float64, and with `foreground` and
        `positive`, (N,) bool: whether the image has one, and the map a positive part.
    """
    parts: dict[str, list[Figures]] = {name: [] for name in targets}
    blocks = list(row_blocks(np.arange(len(images)), 4 * 4 * int(np.prod(images.shape[1:]))))
    for block in tqdm(blocks, desc="estimated foreground", unit="block", disable=None):
        estimated = estimate_foreground(np.asarray(images[block]))
        grids = {target.grid: to_grid(estimated, target.grid) for target in targets.values()}
        for name, target in targets.items():
            inside = grids[target.grid]
            known = np.ones_like(inside)
            energy, positive = energy_inside(target.true_class(block), inside, known)
            parts[name].append(
                {
                    f"{REGION}.energy": energy,
                    f"{REGION}.area_share": area_share(inside, known),
                    REGION: estimated.any(axis=(1, 2)),
                    "positive": positive,
                }
            )
    return {name: {key: np.concatenate([p[key] for p in found]) for key in found[0]} for name, found in parts.items()}


def summarise_foreground(found: Figures, sample: Sample, resamples: int, seed: int) -> dict[str, dict[str, Any]]:
    """Of one map: SPLIT, then CLASS, then `images` and what `region_figures` gives.

    Args:
        found: of `stream_foreground`.
        sample: the images.
        resamples: for the intervals.
        seed: for the intervals.
    """
    out: dict[str, dict[str, Any]] = {split: {} for split in sample.splits}
    for split, name, images in sample.classes():
        own = {key: values[images] for key, values in found.items()}
        counts = own[REGION] & own["positive"]
        figures = region_figures(own, REGION, counts, sample.groups[images], resamples, seed)
        out[split][name] = {"images": int(counts.sum()), **figures}
    return out
