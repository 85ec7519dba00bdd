"""How far the maps of the same images moved from one model to another."""

from dataclasses import dataclass

import numpy as np

from wheretolook.analysis.maps.blocks import row_blocks
from wheretolook.analysis.maps.correlation import correlate_maps
from wheretolook.analysis.maps.target import Target
from wheretolook.diff.shared import Shared


@dataclass(frozen=True)
class Drift:
    """How far the maps moved.

    Attributes:
        images: counted; `left_out`, those of which one map is constant, so that it has no correlation.
        mean: 1 less the mean Pearson correlation of the two maps of an image: 0 the same gaze, 1 unrelated, 2 opposed.
        classes: the same by class.
    """

    images: int
    left_out: int
    mean: float
    classes: dict[str, float]


def correlations(a: Target, b: Target, shared: Shared) -> tuple[np.ndarray, np.ndarray]:
    """Pearson correlation of the two maps of each shared image, on the coarser of both grids.

    Args:
        a, b: maps of the true class, as a contrast.
        shared: n images.

    Returns:
        (n,) float64, 0 where undefined, and (n,) bool, whether both maps vary.
    """
    values, valid = np.zeros(len(shared.rows_a)), np.zeros(len(shared.rows_a), dtype=bool)
    size = 8 * int(np.prod(a.array.shape[1:]) + np.prod(b.array.shape[1:]))
    for block in row_blocks(np.arange(len(values)), size):
        maps_a, maps_b = a.true_class(shared.rows_a[block]), b.true_class(shared.rows_b[block])
        values[block], valid[block] = correlate_maps(maps_a, maps_b)
    return values, valid


def drift_of(values: np.ndarray, valid: np.ndarray, class_names: np.ndarray) -> Drift | None:
    """The mean over images, and by class; None where no image has a correlation.

    Args:
        values: (n,) correlations.
        valid: (n,) which of them are defined.
        class_names: (n,) true class of each image.
    """
    if not valid.any():
        return None
    classes = {
        str(name): float(1 - values[chosen].mean())
        for name in np.unique(class_names)
        if (chosen := valid & (class_names == name)).any()
    }
    return Drift(int(valid.sum()), int((~valid).sum()), float(1 - values[valid].mean()), classes)
