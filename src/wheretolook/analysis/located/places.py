"""How far maps lie on a labelled region: effect sizes that no zero of the map decides, and any region can reach.

A map is taken less its own mean over the image: adding a constant to it changes nothing. Both figures have a ceiling,
what the best map on the same grid would have.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np

from wheretolook.analysis.located.energy import area_share, energy_ceiling, energy_inside
from wheretolook.analysis.located.ranking import area_under_roc, rank_cells
from wheretolook.analysis.maps.regions import Regions

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
        """The same of some images."""
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
