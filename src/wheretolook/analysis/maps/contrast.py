"""The one target that is compared: the map of a class as a contrast, less the maps of the other classes.

Adding one vector to all class weights of a linear head changes every CAM and not one prediction. A contrast is free
of that; with two classes it is the map of the log-odds. Of an image, the other classes count by their softmax scores
among each other, so that the contrast is with the runner-up: a place that excludes a class which nothing is confused
with has no part in it. Of a class as a whole, where no logits are at hand, they count alike.
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


def contrast_with_rivals(maps: np.ndarray, class_index: np.ndarray, logits: np.ndarray) -> np.ndarray:
    """Map of each image's class less the maps of the others, weighted by their softmax scores among each other.

    For methods that are linear in the class this is the map of the log-odds of the class against all others, to first
    order around the image's own logits.

    Args:
        maps: (n, K, h, w) float32, raw and signed, K >= 2.
        class_index: (n,) int64, a class for each image.
        logits: (n, K) float32 of the same images.

    Returns:
        (n, h, w) float32, in the units of the maps.
    """
    if maps.shape[1] == 2:
        return contrast(maps, class_index)
    images = np.arange(len(maps))
    rivals = logits.astype(np.float64)
    rivals[images, class_index] = -np.inf
    weights = np.exp(rivals - rivals.max(axis=1, keepdims=True))
    weights = (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
    return maps[images, class_index] - np.einsum("nk,nkhw->nhw", weights, maps)
