"""The unit of every statistic: the group (a patient) where the index has groups, else the image."""

import numpy as np


def group_codes(names: np.ndarray) -> np.ndarray:
    """A number for each image's group; an image without a group is one by itself.

    Args:
        names: (N,) str, '' where an image has no group.

    Returns:
        (N,) int64, equal for images of one group.
    """
    names = np.asarray(names, dtype=str)
    codes = np.unique(names, return_inverse=True)[1].astype(np.int64)
    alone = names == ""
    return np.where(alone, codes.max(initial=0) + 1 + np.arange(len(names)), codes)


def has_groups(names: np.ndarray) -> bool:
    """Whether any image belongs to a named group."""
    return bool((np.asarray(names, dtype=str) != "").any())
