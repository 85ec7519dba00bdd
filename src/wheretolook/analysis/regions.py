"""Evidence masks on the grid of a map: which share of each cell is evidence, mark, foreground, and known at all."""

from dataclasses import dataclass

import numpy as np

from wheretolook.analysis.grid import area_weights
from wheretolook.data.labels import EVIDENCE, FOREGROUND, MARK, UNKNOWN

LABELS = {"evidence": (EVIDENCE,), "mark": (MARK,), "foreground": (FOREGROUND, EVIDENCE)}


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
    rows = area_weights(masks.shape[1], shape[0]).astype(np.float32)
    columns = area_weights(masks.shape[2], shape[1]).astype(np.float32).T

    def fraction(inside: np.ndarray) -> np.ndarray:
        return rows @ (inside.astype(np.float32) @ columns)

    return Regions(
        known=fraction(masks != UNKNOWN),
        **{name: fraction(np.isin(masks, labels)) for name, labels in LABELS.items()},
    )
