"""What sets classes apart in their mean maps: one fixed map for the images of both sides."""

from collections.abc import Sequence

import numpy as np

from wheretolook.analysis.maps.blocks import row_blocks
from wheretolook.analysis.maps.contrast import contrast
from wheretolook.analysis.maps.target import Target, checked


def apart_maps(target: Target, rows_of: Sequence[np.ndarray], classes: Sequence[int]) -> np.ndarray | None:
    """Mean contrast map of a class over its own images, less the mean of the same contrast over all others' images.

    Maps of each image's own class would not do: over the rest they are maps of other classes.

    Args:
        target: the maps.
        rows_of: for each class that is looked at, its images, (n,) int64.
        classes: index of each of those classes.

    Returns:
        (C, h, w) float32, a row for each class, of two classes the first alone, as the other is its negative. None for
        one class, and where maps of one class are not stored for every image.
    """
    if len(classes) < 2 or (target.knows_class and not target.every_class):
        return None
    counts = np.array([len(rows) for rows in rows_of])
    means = np.stack([_mean(target, rows) for rows in rows_of])  # (C, K, h, w)
    out = []
    for i, k in enumerate(classes if len(classes) > 2 else classes[:1]):
        # The contrast is linear: that of a mean is the mean of contrasts.
        of_class = contrast(means, k) if target.knows_class else means[:, 0]
        rest = np.arange(len(counts)) != i
        out.append(of_class[i] - np.average(of_class[rest], axis=0, weights=counts[rest]))
    return checked(np.stack(out).astype(np.float32), target.file)


def _mean(target: Target, rows: np.ndarray) -> np.ndarray:
    """Mean of the raw maps of some images, (K, h, w) float64, streamed."""
    total = np.zeros(target.array.shape[1:])
    for block in row_blocks(rows, 4 * int(np.prod(target.array.shape[1:]))):
        total += np.asarray(target.array[block]).sum(axis=0, dtype=np.float64)
    return total / len(rows)
