"""Which labelled region a model's maps of a class point out, if any."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from wheretolook.analysis.statistics.bootstrap import mean_intervals
from wheretolook.analysis.statistics.enough import FEWEST_IMAGES, TWICE

REGIONS = ("evidence", "mark", "foreground")


@dataclass(frozen=True)
class Place:
    """One region in one model's maps of one class.

    Attributes:
        region: "evidence", "mark" or "foreground".
        images: images of the class that have the region, and a map with a positive part.
        energy: mean share of positive energy inside.
        area_share: mean share of area.
        centre_energy: mean share of a centre prior's energy.
        pointed_out: whether the energy is at least twice both of those, by the lower ends of their intervals.
    """

    region: str
    images: int
    energy: float
    area_share: float
    centre_energy: float
    pointed_out: bool

    @property
    def ratio(self) -> float:
        """Energy over area share."""
        return self.energy / self.area_share

    @property
    def centre_ratio(self) -> float:
        """Energy over that of a centre prior."""
        return self.energy / self.centre_energy


def places_of(found: dict[str, np.ndarray], groups: np.ndarray, resamples: int, seed: int) -> list[Place]:
    """Regions of one class, those with 20 images or more.

    Args:
        found: `image_figures` of the class's images, n of them.
        groups: (n,) group of each image.
        resamples: for the intervals.
        seed: for the intervals.
    """
    places = []
    for region in REGIONS:
        counts = found[region] & found["positive"]
        if counts.sum() < FEWEST_IMAGES:
            continue
        energy, area, centre = (found[f"{region}.{key}"][counts] for key in ("energy", "area_share", "centre_energy"))
        beyond = np.stack([energy - TWICE * area, energy - TWICE * centre], axis=1)
        means = mean_intervals(beyond, np.ones((1, 1), bool), groups[counts], resamples, seed, (-2.0, 1.0))
        sure = bool((means.bounded & (means.low > 0)).all())
        figures = (float(values.mean()) for values in (energy, area, centre))
        places.append(Place(region, int(counts.sum()), *figures, sure))
    return places


def common_place(places: Mapping[str, list[Place]]) -> str | None:
    """The region that every model's maps point out before all others, or None.

    A mark comes first wherever it is pointed out at all: a network that looks at a mark and at the evidence has not
    been shown to need the evidence.

    Args:
        places: by model.
    """
    first = {_first([place for place in own if place.pointed_out]) for own in places.values()}
    return first.pop() if len(first) == 1 else None


def _first(pointed_out: list[Place]) -> str | None:
    """The mark, else the region with the largest energy for its area."""
    order = sorted(pointed_out, key=lambda place: (place.region != "mark", -place.ratio))
    return order[0].region if order else None
