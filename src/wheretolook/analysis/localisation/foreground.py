"""Estimate of the object's pixels, for images without a mask: whatever differs from the border's colour."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from tqdm import tqdm

from wheretolook.analysis.explained import Target, foremost, open_target
from wheretolook.analysis.grid import row_blocks, to_grid
from wheretolook.analysis.localisation.energy import area_share, energy_inside
from wheretolook.analysis.localisation.localise import Sample, region_figures
from wheretolook.base.prepared import FOREGROUND, Prepared
from wheretolook.mapstore.store import Maps

BINS = 64
FRAME = 0.03  # width of the border, as a share of the side
FAINT = 8  # of 255: an image that differs from its border by less all over has no foreground
# An object leaves most of the border free: where the border's pixels are far from its colour at least half as often as
# those inside, what is shown fills the image (a texture, a close-up), and there is no object to be found.
FILLED = 0.5


def estimate_foreground(images: np.ndarray) -> np.ndarray:
    """Pixels whose colour is far from the median colour of the border; what is far, Otsu's threshold says.

    Holes are filled: an object's own pale parts belong to it. An estimate, to be named so wherever it is shown: shadows
    on the background pass for objects.

    Args:
        images: (n, S, S, 3) uint8.

    Returns:
        (n, S, S) bool; none where an image is even, or where what it shows fills it.
    """
    from scipy.ndimage import binary_fill_holes

    width = max(1, round(FRAME * images.shape[1]))
    frame = np.ones(images.shape[1:3], bool)
    frame[width:-width, width:-width] = False
    colour = np.median(images[:, frame], axis=1).astype(np.float32)
    distance = np.sqrt(((images - colour[:, None, None]) ** 2).sum(axis=-1))
    far = distance > otsu_thresholds(distance)[:, None, None]
    there = distance.max(axis=(1, 2)) >= FAINT
    there &= far[:, frame].mean(axis=1) < FILLED * far[:, ~frame].mean(axis=1)
    far &= there[:, None, None]
    return np.stack([binary_fill_holes(each) for each in far]) if len(far) else far


def otsu_thresholds(values: np.ndarray) -> np.ndarray:
    """The cut of each image's values that separates two groups best (Otsu 1979), on a histogram from 0 to its largest.

    Args:
        values: (n, ...) float32, not negative.

    Returns:
        (n,) float32, upper edge of the last bin below the cut; values above it are the upper group.
    """
    rows = values.reshape(len(values), -1)
    top = rows.max(axis=1)
    top = np.where(top > 0, top, 1)
    bins = np.minimum((rows * (BINS / top)[:, None]).astype(np.int64), BINS - 1)
    offset = np.arange(len(rows))[:, None] * BINS
    counts = np.bincount((bins + offset).ravel(), minlength=BINS * len(rows)).reshape(-1, BINS).astype(np.float64)
    below, sums = counts.cumsum(axis=1), (counts * np.arange(BINS)).cumsum(axis=1)
    total, whole = below[:, -1:], sums[:, -1:]
    sides = below * (total - below)
    between = np.where(sides > 0, (sums * total - whole * below) ** 2 / np.where(sides > 0, sides, 1), 0)
    return ((between.argmax(axis=1) + 1) * top / BINS).astype(np.float32)


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
                    REGION: np.asarray(estimated.any(axis=(1, 2))),
                    "positive": positive,
                }
            )
    return {name: {key: np.concatenate([p[key] for p in found]) for key in found[0]} for name, found in parts.items()}


def summarise_foreground(found: Figures, sample: Sample, resamples: int, seed: int) -> dict[str, dict[str, Any]]:
    """Figures of one map: SPLIT, then CLASS, then `images` and what `region_figures` gives.

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
