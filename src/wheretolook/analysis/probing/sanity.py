"""Sanity of a method: with its weights randomised, a network's maps must stop resembling those of the trained network.

Adebayo et al. 2018, arXiv:1810.03292. A map that stays alike shows the image or the architecture, not what was learned.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from wheretolook.analysis.maps.correlation import correlate
from wheretolook.analysis.statistics.enough import FEWEST_DRAWS


def alikeness(true: np.ndarray, randomised: np.ndarray) -> float:
    """Mean |Spearman| over images between maps (n, h, w) of a trained and of a random network.

    Images of which either map is constant don't count; where that leaves none it is 0: they resemble nothing.
    """
    r, valid = correlate(true.reshape(len(true), -1), randomised.reshape(len(true), -1), ranked=True)
    return float(np.abs(r[valid]).mean()) if valid.any() else 0.0


def largest_alikeness(true: np.ndarray, draws: np.ndarray) -> float:
    """The null: the largest mean |Spearman| of maps (n, h, w) with those of any wholly random network (draws, n, h, w).

    It is taken of the primary maps and holds for every method. With a null of its own a method could not fail: one
    that shows nothing but the image's edges does so for random networks too, and as much in the null as in the test.
    """
    return max(alikeness(true, draw) for draw in draws)


def sanity_result(found: Mapping[str, list[float]], images: int, null: float | None) -> dict[str, Any]:
    """How alike the maps of one method and layer stay while weights are randomised from the top layer down.

    Args:
        found: what was randomised last, top first, to the alikeness of each draw; the last is a wholly random network.
        images: that each is a mean of.
        null: of `largest_alikeness`, or None.

    Returns:
        As `docs/results.md` lays out; `passed` is None where there is no null, or too few draws.
    """
    last = list(found.values())[-1]
    decided = null is not None and len(last) >= FEWEST_DRAWS
    return {
        "images": images,
        "draws": len(last),
        "steps": [
            {"randomised": name, "spearman": float(np.mean(r)), "least": min(r), "most": max(r)}
            for name, r in found.items()
        ],
        "null": null,
        "passed": float(np.mean(last)) <= null if decided else None,
    }
