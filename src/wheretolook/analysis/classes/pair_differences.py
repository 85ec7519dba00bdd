"""Differences of two classes by place in the models' maps. Each pair of classes is tested by itself."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import label

from wheretolook.analysis.classes.contributions import Contributions
from wheretolook.analysis.localisation.common_place import share_at_odds
from wheretolook.analysis.statistics.permutation import design_of, place_test

ALPHA = 0.05


@dataclass(frozen=True)
class PairDifference:
    """One class against one other at one place, over the n images of both.

    Attributes:
        region: a mask region, or cells in words.
        own: (n,) bool, images of the class.
        groups: (n,) integers.
        area: share of the image, in the class or in the other, whichever is larger.
        p: by model, p-value of "the means are equal", two-sided, adjusted for all places; 1 where the class has less.
        share: by model, share of the difference of mean logits; None where the class as a whole has no more.
        surplus: by model, (n,) float64, what lies there beyond the share at which its odds are twice those of the area.
        bears: whether images of the class have the region.
    """

    region: str
    own: np.ndarray
    groups: np.ndarray
    area: float
    p: Mapping[str, float]
    share: Mapping[str, float | None]
    surplus: Mapping[str, np.ndarray]
    bears: bool

    def influence(self, models: Sequence[str]) -> tuple[float, np.ndarray]:
        """Mean surplus of the class less that of the other, over these models; and what each image does to it, (n,).

        The influences have the mean of the difference, so that their interval is that of the difference.
        """
        surplus = np.mean([self.surplus[name] for name in models], axis=0)
        own, share = self.own, self.own.mean()
        difference = surplus[own].mean() - surplus[~own].mean()
        mine, theirs = (surplus - surplus[own].mean()) / share, (surplus - surplus[~own].mean()) / (1 - share)
        residuals = np.where(own, mine, -theirs)
        return float(difference), difference + residuals


def pair_differences(
    contributions: Mapping[str, Contributions],
    own: np.ndarray,
    groups: np.ndarray,
    odds: float,
    permutations: int,
    seed: int,
) -> list[PairDifference]:
    """Differences of two classes at every place of their images; none where there are too few relabellings.

    Args:
        contributions: by model, of the contrast of the class with the other, for the n images of both.
        own: (n,) bool, images of the class.
        groups: (n,) integers.
        odds: of a place's share, over the odds of its area, beyond which the surplus begins.
        permutations: relabellings and flips of signs of each test.
        seed: of those.
    """
    labels = np.where(own, 0, 1)
    design = design_of(labels, groups)
    p_values, differences = {}, {}
    for name, each in contributions.items():
        test = place_test(each.values[None], [0], design, groups, permutations, seed)
        if test.p is None:
            return []
        p_values[name], differences[name] = test.p[0], test.difference[0]
    first = next(iter(contributions.values()))
    strong = np.all([_strong(p_values[name], differences[name], odds) for name in p_values], axis=0)
    out = []
    for region, chosen in _places(first.names, first.grid, strong):
        area = 0.0
        share: dict[str, float | None] = {}
        surplus: dict[str, np.ndarray] = {}
        p: dict[str, float] = {}
        for name, each in contributions.items():
            inside = each.area[:, chosen].sum(axis=1)
            area = float(max(inside[own].mean(), inside[~own].mean()))
            values = each.values.astype(np.float64)
            difference = differences[name]
            total = float(difference.sum())
            share[name] = float(difference[chosen].sum()) / total if total > 0 else None
            surplus[name] = values[:, chosen].sum(axis=1) - share_at_odds(np.array(area), odds) * values.sum(axis=1)
            more = difference[chosen].sum() > 0
            p[name] = float(p_values[name][chosen].max()) if more else 1.0
        if area > 0:
            bears = bool(first.area[own][:, chosen].any())
            out.append(PairDifference(region, own, groups, area, p, share, surplus, bears))
    return out


def _strong(p: np.ndarray, difference: np.ndarray, odds: float) -> np.ndarray:
    """Which cells (c,) differ, and hold more than their share of the difference: where all do, that is no place."""
    return (p <= ALPHA) & (difference > odds * difference.sum() / len(difference))


def _places(names: Sequence[str], grid: tuple[int, int] | None, strong: np.ndarray) -> list[tuple[str, np.ndarray]]:
    """Name and places of each region, or of each connected patch of strong cells, the largest first."""
    if grid is None:
        return [(name, np.array([i])) for i, name in enumerate(names) if name != "unknown"]
    numbered, count = label(strong.reshape(grid))
    patches = sorted((numbered == i for i in range(1, count + 1)), key=lambda patch: -int(patch.sum()))
    return [(_cells(patch), np.flatnonzero(patch)) for patch in patches]


def _cells(patch: np.ndarray) -> str:
    """Rows and columns of a patch, counted from the upper left from 1: "2 cells, rows 1, columns 2 to 3 of 4 x 4"."""
    spans = [np.flatnonzero(patch.any(axis=axis)) + 1 for axis in (1, 0)]
    rows, columns = (f"{s[0]}" if len(s) == 1 else f"{s[0]} to {s[-1]}" for s in spans)
    count = "1 cell" if patch.sum() == 1 else f"{int(patch.sum())} cells"
    return f"{count}, rows {rows}, columns {columns} of {patch.shape[0]} x {patch.shape[1]}"
