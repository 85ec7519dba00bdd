"""How well maps fit the evidence masks: figures of each split and class."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from tqdm import tqdm

from wheretolook.analysis.explained import Target, foremost, open_target
from wheretolook.analysis.grid import Regions, centre_prior, regions_on_grid, row_blocks
from wheretolook.analysis.localisation.energy import (
    THRESHOLDS,
    area_share,
    area_under_roc,
    average_precision,
    best_threshold,
    energy_ceiling,
    energy_inside,
    pointing_chance,
    pointing_hits,
    rank_cells,
    thresholded_iou,
)
from wheretolook.analysis.statistics.bootstrap import mean_intervals
from wheretolook.base.prepared import Prepared
from wheretolook.mapstore.store import Maps

REGIONS = ("evidence", "mark", "foreground")


def image_figures(maps: np.ndarray, regions: Regions) -> dict[str, np.ndarray]:
    """Figures of each image.

    Args:
        maps: (n, h, w) float32, signed contrasts.
        regions: of the same images on the same grid.

    Returns:
        Name to (n,) float64 (`iou`: (n, T), for each of THRESHOLDS), and to (n,) bool for what counts: `REGION`,
        whether the image has the region; `positive` and `negative`, whether the map has such a part. Figures of what
        does not count are 0.
    """
    known = regions.known
    seen = known.sum(axis=(1, 2)) > 0
    prior = np.broadcast_to(centre_prior(maps.shape[1:]), maps.shape)
    found: dict[str, np.ndarray] = {}
    for region in REGIONS:
        inside = getattr(regions, region)
        energy, found["positive"] = energy_inside(maps, inside, known)
        found[region] = seen & (inside.sum(axis=(1, 2)) > 0)
        found[f"{region}.energy"] = energy
        found[f"{region}.centre_energy"] = energy_inside(prior, inside, known)[0]
        found[f"{region}.area_share"] = np.where(seen, area_share(inside, np.where(seen[:, None, None], known, 1)), 0)
    evidence = regions.evidence
    found["negative_energy"], found["negative"] = energy_inside(-maps, evidence, known)
    found["energy_ceiling"] = energy_ceiling(evidence, known)
    there = found["evidence"]
    ranking = rank_cells(maps[there], evidence[there], known[there])
    for key, figure in (
        ("iou", thresholded_iou),
        ("pixel_auroc", area_under_roc),
        ("average_precision", average_precision),
    ):
        found[key] = _spread_out(figure(ranking), there)
    found["pointing"] = pointing_hits(maps, evidence, known)
    found["pointing_by_area"] = pointing_chance(evidence, known)
    found["centre_pointing"] = pointing_hits(prior, evidence, known)
    return found


def class_figures(
    found: dict[str, np.ndarray], groups: np.ndarray, threshold: int | None, resamples: int, seed: int
) -> dict[str, Any]:
    """Sum up the images of one class and split, as `docs/results.md` lays out.

    Args:
        found: of `image_figures`, n >= 1 images.
        groups: (n,) group of each image.
        threshold: which of THRESHOLDS was chosen on other images; None: none was.
        resamples: for the intervals.
        seed: for the intervals.
    """
    out: dict[str, Any] = {"images": len(groups), "no_positive": int((~found["positive"]).sum())}
    for region in REGIONS:
        prefix = "" if region == "evidence" else f"{region}_"
        counts = found[region] & found["positive"]
        out[f"{region}_images"] = int(counts.sum())
        figures = region_figures(found, region, counts, groups, resamples, seed)
        out |= {prefix + key: value for key, value in figures.items()}
    counts = found["evidence"] & found["positive"]
    out["centre_energy"] = _mean(found["evidence.centre_energy"], counts)
    for key in (
        "energy_ceiling",
        "pointing",
        "pointing_by_area",
        "centre_pointing",
        "pixel_auroc",
        "average_precision",
    ):
        out[key] = _mean(found[key], counts)
    chosen = threshold is not None and bool(counts.any())
    out["iou"] = _mean(found["iou"][:, threshold], counts) if chosen else None
    out["iou_threshold"] = float(THRESHOLDS[threshold]) if chosen else None
    out["negative_energy"] = _mean(found["negative_energy"], found["evidence"] & found["negative"])
    return out


def region_figures(
    found: dict[str, np.ndarray], region: str, counts: np.ndarray, groups: np.ndarray, resamples: int, seed: int
) -> dict[str, float | None]:
    """Area share, energy with its interval, and the ratio of the two means, of one region.

    Args:
        found: `REGION.energy` and `REGION.area_share` of `image_figures`, (n,) each.
        region: its name.
        counts: (n,) bool, images that count; where none does, every figure is None.
        groups: (n,) group of each image.
        resamples: for the interval.
        seed: for the interval.
    """
    energy, area = found[f"{region}.energy"], found[f"{region}.area_share"]
    if not counts.any():
        return dict.fromkeys(("area_share", "energy", "energy_low", "energy_high", _ratio(region)))
    means = mean_intervals(energy[counts, None], np.ones((1, 1), bool), groups[counts], resamples, seed, (0.0, 1.0))
    bounded = bool(means.bounded[0])
    return {
        "area_share": float(area[counts].mean()),
        "energy": float(means.mean[0]),
        "energy_low": float(means.low[0]) if bounded else None,
        "energy_high": float(means.high[0]) if bounded else None,
        _ratio(region): float(means.mean[0] / area[counts].mean()),
    }


def _ratio(region: str) -> str:
    return "energy_ratio" if region == "evidence" else "ratio"


def _spread_out(values: np.ndarray, there: np.ndarray) -> np.ndarray:
    """Figures (m, ...) of the m images that are there, as (n, ...), 0 for the others."""
    out = np.zeros((len(there), *values.shape[1:]))
    out[there] = values
    return out


def _mean(values: np.ndarray, counts: np.ndarray) -> float | None:
    return float(values[counts].mean()) if counts.any() else None


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
