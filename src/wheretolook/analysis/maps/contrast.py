"""The one target that is compared: the map of a class as a contrast, less the mean of the other classes' maps.

Adding one vector to all class weights of a linear head changes every CAM and not one prediction. The contrast is free
of that; with two classes it is the map of the log-odds.
"""

import numpy as np


def contrast(maps: np.ndarray, class_index: int | np.ndarray) -> np.ndarray:
    """Map of a class less the mean of the maps of all other classes.

    Args:
        maps: (n, K, h, w) float32, raw and signed, K >= 2.
        class_index: one class for all images, or (n,) int64, a class for each.

    Returns:
        (n, h, w) float32, in the units of the maps.

    Raises:
        ValueError: fewer than two classes.
    """
    count = maps.shape[1]
    if count < 2:
        raise ValueError(f"a contrast needs the maps of two classes or more, found {count}")
    index = np.broadcast_to(np.asarray(class_index), len(maps))
    if count == 2:
        difference = maps[:, 0] - maps[:, 1]
        return np.where(index[:, None, None] == 0, difference, -difference)
    own = maps[np.arange(len(maps)), index]
    return own - (maps.sum(axis=1) - own) / np.float32(count - 1)


def contrast_with_mean(own: np.ndarray, mean: np.ndarray, count: int) -> np.ndarray:
    """The same contrast, of a class's map and the mean over all classes' maps, itself among them.

    Args:
        own: (n, h, w) float32.
        mean: (n, h, w) float32.
        count: K >= 2 classes.
    """
    return (own - mean) * np.float32(count / (count - 1))
