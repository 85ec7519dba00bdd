"""Where maps lie: energy and pixel AUROC on a region; and figures by group (a patient)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from wheretolook.analysis.grid import Regions
from wheretolook.analysis.localisation.energy import (
    area_share,
    area_under_roc,
    energy_ceiling,
    energy_inside,
    rank_cells,
)
from wheretolook.analysis.localisation.localise import Sample
from wheretolook.analysis.statistics.bootstrap import mean_intervals
from wheretolook.base.prepared import ATTRIBUTE

if TYPE_CHECKING:
    import pandas as pd

WORST = 5  # groups named; the others are in the spread


def by_group(
    right: np.ndarray, found: dict[str, np.ndarray] | None, sample: Sample, names: np.ndarray, resamples: int, seed: int
) -> dict[str, dict[str, Any]]:
    """By split: accuracy by group, and the energy of the foremost maps inside the evidence, or on the foreground.

    Args:
        right: (N,) bool, whether each image was classified right.
        found: what is known of each image's foremost map, (N,) each: of `image_figures` or of `stream_foreground`.
        sample: the images.
        names: (N,) str, the groups' names.
        resamples: for the intervals.
        seed: for the intervals.
    """
    regions = [key for key in ("evidence", "foreground") if found is not None and key in found and found[key].any()]
    out: dict[str, dict[str, Any]] = {}
    for split, rows in sample.splits.items():
        out[split] = group_figures("accuracy", right[rows], sample.groups[rows], names[rows], resamples, seed)
        out[split]["energy"] = None
        if not regions or found is None:
            continue
        region = regions[0]
        counts = rows[found[region][rows] & found["positive"][rows]]
        if len(counts):
            values = found[f"{region}.energy"][counts]
            figures = group_figures("energy", values, sample.groups[counts], names[counts], resamples, seed)
            out[split]["energy"] = {"region": region, **figures}
    return out


MOST_VALUES = 10  # of an attribute that figures are given by


def by_attribute(
    index: "pd.DataFrame",
    right: np.ndarray,
    found: dict[str, np.ndarray] | None,
    sample: Sample,
    resamples: int,
    seed: int,
) -> dict[str, dict[str, dict[str, dict[str, Any]]]] | None:
    """By attribute with 2 to 10 values, split and value: accuracy, and the energy of the foremost maps.

    Images without a value are left out.

    Args:
        index: of the prepared data.
        right, found, sample, resamples, seed: as in `by_group`.
    """
    out: dict[str, dict[str, dict[str, dict[str, Any]]]] = {}
    for column in (each for each in index.columns if each.startswith(ATTRIBUTE)):
        values = index[column].to_numpy(dtype=str)
        known = sorted(set(values) - {""})
        if not 2 <= len(known) <= MOST_VALUES:
            continue
        out[column.removeprefix(ATTRIBUTE)] = {
            split: {
                value: _of_value(rows[values[rows] == value], right, found, sample, resamples, seed)
                for value in known
                if (values[rows] == value).any()
            }
            for split, rows in sample.splits.items()
        }
    return out or None


def _of_value(
    rows: np.ndarray, right: np.ndarray, found: dict[str, np.ndarray] | None, sample: Sample, resamples: int, seed: int
) -> dict[str, Any]:
    out: dict[str, Any] = {"images": len(rows), "groups": len(np.unique(sample.groups[rows]))}
    out |= _share("accuracy", right[rows], sample.groups[rows], resamples, seed)
    regions = [key for key in ("evidence", "foreground") if found is not None and found.get(key, np.zeros(1)).any()]
    out |= {"region": regions[0] if regions else None} | dict.fromkeys(("energy", "energy_low", "energy_high"))
    if regions and found is not None:
        counts = rows[found[regions[0]][rows] & found["positive"][rows]]
        if len(counts):
            values = found[f"{regions[0]}.energy"][counts]
            out |= _share("energy", values, sample.groups[counts], resamples, seed)
    return out


def _share(figure: str, values: np.ndarray, groups: np.ndarray, resamples: int, seed: int) -> dict[str, float | None]:
    """Mean of a share (n,) and both ends of its interval, under the names of a figure."""
    means = mean_intervals(values[:, None].astype(float), np.ones((1, 1), bool), groups, resamples, seed, (0.0, 1.0))
    low, high = (float(means.low[0]), float(means.high[0])) if means.bounded[0] else (None, None)
    return {figure: float(means.mean[0]), f"{figure}_low": low, f"{figure}_high": high}


def group_figures(
    figure: str, values: np.ndarray, groups: np.ndarray, names: np.ndarray, resamples: int, seed: int
) -> dict[str, Any]:
    """Sum up a share by group.

    Args:
        figure: its name.
        values: (n,) float64 from 0 to 1, n >= 1.
        groups: (n,) integers.
        names: (n,) str, the groups' names.
        resamples: for the interval.
        seed: for the interval.

    Returns:
        As `docs/results.md` lays out: one entry a group would be a table of hundreds.
    """
    codes, first, member = np.unique(groups, return_index=True, return_inverse=True)
    images = np.bincount(member)
    by_group = np.bincount(member, weights=values) / images
    order = sorted(range(len(codes)), key=lambda g: (by_group[g], -images[g], str(names[first[g]])))
    return {
        "groups": len(codes),
        **_share(figure, values, groups, resamples, seed),
        "lowest": float(by_group.min()),
        "highest": float(by_group.max()),
        "spread": float(by_group.std(ddof=1)) if len(codes) > 1 else None,
        "worst": [
            {"group": str(names[first[g]]), "images": int(images[g]), figure: float(by_group[g])} for g in order[:WORST]
        ],
    }


REGIONS = ("evidence", "mark", "foreground")


@dataclass(frozen=True)
class OnRegion:
    """Maps of one model on one region, for n images; (n,) each.

    Attributes:
        counts: bool, whether the image has the region, something outside it, and a map that varies.
        energy: float64, share of the energy of the map, less its mean, that lies inside.
        area: share of the known area.
        auroc: area under the ROC curve of the map's height, pixels inside against those outside.
        best_energy, best_auroc: ceilings of both.
    """

    counts: np.ndarray
    energy: np.ndarray
    area: np.ndarray
    auroc: np.ndarray
    best_energy: np.ndarray
    best_auroc: np.ndarray

    def beyond(self, odds: float) -> np.ndarray:
        """Energy less that at which its odds are `odds` times the odds of the area, (n,): above 0 where they are more.

        A share of energy has no limit below 1 whatever the area, as twice a share of 62 % has.
        """
        return self.energy - share_at_odds(self.area, odds)

    def of(self, images: np.ndarray) -> "OnRegion":
        """The figures of some images."""
        return OnRegion(*(getattr(self, field.name)[images] for field in fields(self)))


def share_at_odds(area: np.ndarray, odds: float) -> np.ndarray:
    """The share whose odds are `odds` times those of an area's share."""
    return odds * area / (1 + (odds - 1) * area)


def odds_ratio(share: float, area: float) -> float:
    """Odds of a share over those of the area; shares beyond 0.001 and 0.999 count as those, so that it is finite."""
    share, area = (min(max(each, 0.001), 0.999) for each in (share, area))
    return float(share * (1 - area) / (area * (1 - share)))


def on_regions(maps: np.ndarray, regions: Regions) -> dict[str, OnRegion]:
    """Figures of each region; of the foreground without the evidence, so that none counts for another.

    Args:
        maps: (n, h, w) float32, signed contrasts.
        regions: of the same images on the same grid.
    """
    without = np.clip(regions.known - regions.evidence, 0, None)
    parts = {
        "evidence": (regions.evidence, regions.known),
        "mark": (regions.mark, regions.known),
        "foreground": (np.clip(regions.foreground - regions.evidence, 0, None), without),
    }
    return {region: _on_region(maps, *parts[region]) for region in REGIONS}


def _on_region(maps: np.ndarray, inside: np.ndarray, known: np.ndarray) -> OnRegion:
    whole = known.sum(axis=(1, 2), dtype=np.float64)
    seen = whole > 0
    mean = np.einsum("nhw,nhw->n", maps, known, dtype=np.float64) / np.where(seen, whole, 1)
    energy, positive = energy_inside(maps - mean[:, None, None], inside, known)
    area = np.where(seen, area_share(inside, np.where(seen[:, None, None], known, 1)), 0)
    there = seen & positive & (area > 1e-6) & (area < 1 - 1e-6)
    auroc, best = np.zeros((2, len(maps)))
    if there.any():
        share = np.where(known > 0, inside / np.where(known > 0, known, 1), 0)
        auroc[there] = area_under_roc(rank_cells(maps[there], inside[there], known[there]))
        best[there] = area_under_roc(rank_cells(share[there], inside[there], known[there]))
    return OnRegion(there, energy, area, auroc, energy_ceiling(inside, known), best)


def joined(parts: Sequence[Mapping[str, OnRegion]]) -> dict[str, OnRegion]:
    """Blocks of images, one after the other."""
    return {
        region: OnRegion(
            *(np.concatenate([getattr(part[region], field.name) for part in parts]) for field in fields(OnRegion))
        )
        for region in REGIONS
    }
