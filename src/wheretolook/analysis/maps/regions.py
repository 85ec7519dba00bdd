"""Evidence masks on the grid of a map: which share of each cell is evidence, mark, foreground, and known at all."""

from dataclasses import dataclass

import numpy as np

from wheretolook.analysis.maps.grid import to_grid
from wheretolook.data.labels import EVIDENCE, FOREGROUND, MARK, UNKNOWN

LABELS = {"evidence": [EVIDENCE], "mark": [MARK], "foreground": [FOREGROUND, EVIDENCE]}


@dataclass(frozen=True)
class Regions:
    """Area fractions of cells, each (n, h, w) float32 of the whole cell: `known` is 1 where no pixel is unknown."""

    known: np.ndarray
    evidence: np.ndarray
    mark: np.ndarray
    foreground: np.ndarray  # the evidence included


def regions_on_grid(masks: np.ndarray, shape: tuple[int, int]) -> Regions:
    """Exact area fractions of each region in each cell of a map.

    Args:
        masks: (n, S, S) uint8 labels: 0 background, 1 foreground, 2 evidence, 3 mark, 255 unknown.
        shape: (h, w) of the map, at most (S, S).
    """
    return Regions(
        known=to_grid(masks != UNKNOWN, shape),
        **{name: to_grid(np.isin(masks, labels), shape) for name, labels in LABELS.items()},
    )
