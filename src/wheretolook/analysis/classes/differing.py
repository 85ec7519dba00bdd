"""Places at which a class differs from the rest in every model, with how much of the difference lies there."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from wheretolook.analysis.classes.differences import ALPHA, Difference, patches_of
from wheretolook.analysis.statistics.bootstrap import mean_intervals
from wheretolook.analysis.statistics.consensus import directed_consensus
from wheretolook.analysis.statistics.enough import FEWEST_SEEDS, TWICE
from wheretolook.analysis.statistics.over_seeds import places_over_seeds

WORDS = {
    "evidence": "the evidence",
    "mark": "the mark",
    "foreground": "the rest of the foreground",
    "background": "the background",
}


@dataclass(frozen=True)
class Differing:
    """One place.

    Attributes:
        place: in words; `region` its name in the masks, empty for a patch of cells.
        p: the largest of the models' p-values, of models that differ the same way; at a patch, of its cells.
        area: its share of the area, in the class or in the rest, whichever is larger.
        shares: by model, its share of the difference of mean logits; None where the class as a whole has no more.
        surplus_low: by model, lower end of what lies there beyond twice its share of area, in logits; None without one.
        p_seeds: of the test over seeds, as `p`; None for fewer than six models.
    """

    place: str
    region: str
    p: float
    area: float
    shares: dict[str, float | None]
    surplus_low: dict[str, float | None]
    p_seeds: float | None

    @property
    def beyond_its_area(self) -> bool:
        """Whether in every model the place holds twice the share that its area would, by the interval's lower end."""
        lows = self.surplus_low.values()
        return all(share is not None for share in self.shares.values()) and all(low and low > 0 for low in lows)


def differing_places(
    tested: Mapping[str, Difference],
    row: int,
    scale: Mapping[str, float],
    own: np.ndarray,
    groups: np.ndarray,
    resamples: int,
    seed: int,
) -> list[Differing]:
    """Regions of the masks, or connected patches of cells that differ in all models and hold twice their share.

    Args:
        tested: by model, on places that they share, with p-values.
        row: of the class in each test.
        scale: by model, root mean square of its maps: the unit in which models are compared.
        own: (n,) bool, images of the class.
        groups: (n,) group of each image.
        resamples: for the intervals.
        seed: for the intervals.
    """
    tests = list(tested.values())
    first = tests[0].contributions[row]
    p, t = (np.stack([getattr(each.test, key)[row] for each in tests]) for key in ("p", "t"))
    largest, way = directed_consensus(p, t, len(tests))
    p_seeds = None
    if len(tests) >= FEWEST_SEEDS:
        p_seeds = places_over_seeds(np.stack([tested[m].test.difference[row] / (scale[m] or 1) for m in tested]))
    found = []
    concentrated = np.all([_concentrated(each.test.difference[row]) for each in tests], axis=0)
    strong = (largest <= ALPHA) & (way > 0) & concentrated
    for place, region, chosen in _candidates(first.names, first.grid, strong):
        if not first.area[:, chosen].any():
            continue
        shares, lows, area = {}, {}, 0.0
        for name, each in tested.items():
            contributions = each.contributions[row]
            inside = contributions.area[:, chosen].sum(axis=1)
            area = float(max(inside[own].mean(), inside[~own].mean()))
            total = float(each.test.difference[row].sum())
            shares[name] = float(each.test.difference[row][chosen].sum()) / total if total > 0 else None
            values = contributions.values.astype(np.float64)
            surplus = values[:, chosen].sum(axis=1) - TWICE * area * values.sum(axis=1)
            lows[name] = _lower_difference(surplus, own, groups, resamples, seed)
        seeds = None if p_seeds is None else float(p_seeds[chosen].max())
        found.append(Differing(place, region, float(largest[chosen].max()), area, shares, lows, seeds))
    return found


def _concentrated(difference: np.ndarray) -> np.ndarray:
    """Which cells (c,) hold twice their share of the area: where all differ, as neighbours do, that is no place."""
    return difference >= TWICE * difference.sum() / len(difference)


def _candidates(
    names: Sequence[str], grid: tuple[int, int] | None, strong: np.ndarray
) -> list[tuple[str, str, np.ndarray]]:
    """Words, region and places of each: every region of the masks, or patches of cells that are strong."""
    if grid is None:
        return [(WORDS[name], name, np.array([j])) for j, name in enumerate(names) if name in WORDS]
    return [(_where(patch), "", np.flatnonzero(patch)) for patch in patches_of(strong.reshape(grid))]


def _where(patch: np.ndarray) -> str:
    """Rows and columns of a patch, counted from the upper left from 1."""
    spans = [np.flatnonzero(patch.any(axis=axis)) + 1 for axis in (1, 0)]
    rows, columns = (f"{s[0]}" if len(s) == 1 else f"{s[0]} to {s[-1]}" for s in spans)
    cells = "1 cell" if patch.sum() == 1 else f"{int(patch.sum())} cells"
    return f"{cells} in rows {rows} and columns {columns} of {patch.shape[0]} by {patch.shape[1]}"


def _lower_difference(
    values: np.ndarray, own: np.ndarray, groups: np.ndarray, resamples: int, seed: int
) -> float | None:
    """Lower end of the interval of a class's mean less the rest's, (n,) values; groups are drawn."""
    share = own.mean()
    difference = values[own].mean() - values[~own].mean()
    # One mean of what each image does to the difference: so the interval is that of a mean, drawn by group.
    centre = values[own].mean() - share * difference
    influence = np.where(own, (values - centre) / share, -(values - centre) / (1 - share))
    means = mean_intervals(influence[:, None], np.ones((1, 1), bool), groups, resamples, seed)
    return float(means.low[0]) if means.bounded[0] else None
