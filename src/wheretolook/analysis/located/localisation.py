"""Do maps lie where the evidence is? Figures of one split and class, from maps and masks on one grid."""

from typing import Any

import numpy as np

from wheretolook.analysis.located.energy import area_share, energy_ceiling, energy_inside
from wheretolook.analysis.located.pointing import pointing_chance, pointing_hits
from wheretolook.analysis.located.ranking import (
    THRESHOLDS,
    area_under_roc,
    average_precision,
    rank_cells,
    thresholded_iou,
)
from wheretolook.analysis.maps.centre import centre_prior
from wheretolook.analysis.maps.regions import Regions
from wheretolook.analysis.statistics.bootstrap import mean_intervals

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
