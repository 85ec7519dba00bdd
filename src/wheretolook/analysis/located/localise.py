"""Localisation of all maps of a model, streamed over memory-mapped maps and masks."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from tqdm import tqdm

from wheretolook.analysis.located.localisation import class_figures, image_figures
from wheretolook.analysis.located.ranking import best_threshold
from wheretolook.analysis.maps.blocks import row_blocks
from wheretolook.analysis.maps.regions import regions_on_grid
from wheretolook.analysis.maps.target import Target, foremost, open_target
from wheretolook.cams.store import Maps
from wheretolook.data.prepared import Prepared

CHOSEN_ON = "val"  # the split on which the threshold of the IoU is chosen
# Figures that are compared between layers, by their names in `image_figures`.
SHARED = {
    "shared_energy": "evidence.energy",
    "shared_area_share": "evidence.area_share",
    "shared_ceiling": "energy_ceiling",
}
Figures = dict[str, np.ndarray]


@dataclass(frozen=True)
class Sample:
    """The images of a localisation.

    Attributes:
        labels: (N,) int64, true class.
        groups: (N,) int64, group of each image.
        splits: split name to rows.
        class_names: in class order.
    """

    labels: np.ndarray
    groups: np.ndarray
    splits: dict[str, np.ndarray]
    class_names: tuple[str, ...]

    def classes(self) -> Iterator[tuple[str, str, np.ndarray]]:
        """Each split and class that has images: their names, and the rows."""
        for split, rows in self.splits.items():
            for k, name in enumerate(self.class_names):
                if len(images := rows[self.labels[rows] == k]):
                    yield split, name, images


def locate(
    maps: Maps, prepared: Prepared, sample: Sample, resamples: int, seed: int
) -> tuple[dict[str, Any] | None, Figures | None]:
    """Localisation of every method and layer, and `image_figures` of the foremost maps; None without masks."""
    if prepared.masks is None:
        return None, None
    targets = {f"{m}.{y}": open_target(maps, m, y, prepared.labels) for m, y in maps.names}
    streamed = stream_figures(targets, prepared.masks, np.arange(len(prepared.masks)))
    found, of_foremost, foremost_name = {}, None, ".".join(foremost(maps) or ())
    evidence: dict[str, Figures] = {}
    for name, figures in tqdm(streamed, total=len(targets), desc="localisation", unit="maps", disable=None):
        found[name] = summarise(figures, sample, resamples, seed)
        of_foremost = figures if name == foremost_name else of_foremost
        evidence[name] = {key: figures[key] for key in (*SHARED.values(), "evidence", "positive")}
    for name, by_split in over_shared_images(evidence, sample).items():
        for split, class_name, _ in sample.classes():
            found[name][split][class_name] |= by_split[split][class_name]
    return {name: found[name] for name in targets}, of_foremost


def over_shared_images(
    evidence: Mapping[str, Figures], sample: Sample
) -> dict[str, dict[str, dict[str, dict[str, Any]]]]:
    """Energy inside the evidence over images on which every layer of a method has a positive part.

    Without that, a layer whose maps are positive on few images is compared with another one on other images.

    Args:
        evidence: METHOD.LAYER to figures of all N images: those of SHARED, `evidence` and `positive`.
        sample: the images.

    Returns:
        METHOD.LAYER, SPLIT, CLASS: `shared_images`, and the means of SHARED, None without such images.
    """
    counts: dict[str, np.ndarray] = {}
    for name, figures in evidence.items():
        method = name.split(".", 1)[0]
        counts[method] = counts.get(method, True) & figures["evidence"] & figures["positive"]
    out: dict[str, dict[str, dict[str, dict[str, Any]]]] = {}
    for name, figures in evidence.items():
        out[name] = {split: {} for split in sample.splits}
        for split, class_name, images in sample.classes():
            rows = images[counts[name.split(".", 1)[0]][images]]
            means = {key: float(figures[own][rows].mean()) if len(rows) else None for key, own in SHARED.items()}
            out[name][split][class_name] = {"shared_images": len(rows), **means}
    return out


def stream_figures(targets: Mapping[str, Target], masks: np.ndarray, rows: np.ndarray) -> Iterator[tuple[str, Figures]]:
    """Figures of some images (`image_figures`) for each of several maps; masks are brought to each grid once.

    Args:
        targets: maps of any names.
        masks: (N, S, S) uint8 labels, memory-mapped.
        rows: (n,) int64, the images.

    Yields:
        Each name with its figures, those of one grid after the other.
    """
    grids = dict.fromkeys(target.grid for target in targets.values())
    for grid in grids:
        alike = {name: target for name, target in targets.items() if target.grid == grid}
        parts: dict[str, list[Figures]] = {name: [] for name in alike}
        for block in row_blocks(rows, 4 * 4 * int(np.prod(masks.shape[1:]))):
            regions = regions_on_grid(np.asarray(masks[block]), grid)
            for name, target in alike.items():
                parts[name].append(image_figures(target.true_class(block), regions))
        for name, blocks in parts.items():
            yield name, {key: np.concatenate([block[key] for block in blocks]) for key in blocks[0]}


def summarise(found: Figures, sample: Sample, resamples: int, seed: int) -> dict[str, dict[str, Any]]:
    """Localisation of one method and layer: SPLIT, then CLASS, then the figures of `class_figures`.

    Args:
        found: `image_figures` of all N images.
        sample: the images.
        resamples: for the intervals.
        seed: for the intervals.
    """
    chosen = sample.splits.get(CHOSEN_ON, np.zeros(0, np.int64))
    threshold = best_threshold(found["iou"][chosen[found["evidence"][chosen] & found["positive"][chosen]]])
    out: dict[str, dict[str, Any]] = {split: {} for split in sample.splits}
    for split, name, images in sample.classes():
        own = {key: values[images] for key, values in found.items()}
        at = None if split == "train" else threshold
        out[split][name] = class_figures(own, sample.groups[images], at, resamples, seed)
    return out
