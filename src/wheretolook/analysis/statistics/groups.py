"""The unit of every statistic: the group (a patient) where the index has groups, else the image."""

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components


def group_codes(names: np.ndarray, copies: np.ndarray | None = None) -> np.ndarray:
    """A number for each image's group; an image without a group is one by itself, and copies of an image are one.

    Args:
        names: (N,) str, '' where an image has no group.
        copies: (N,) str, equal for images that are copies of each other ('' for none); groups that share a copy are
            one group.

    Returns:
        (N,) int64, equal for images of one group.
    """
    names = np.asarray(names, dtype=str)
    codes = np.unique(names, return_inverse=True)[1].astype(np.int64)
    alone = names == ""
    codes = np.where(alone, codes.max(initial=0) + 1 + np.arange(len(names)), codes)
    if copies is None or not len(names):
        return codes
    copies = np.asarray(copies, dtype=str)
    order, first = np.unique(copies, return_index=True)
    original = np.where(copies == "", np.arange(len(names)), first[np.searchsorted(order, copies)])
    if (original == np.arange(len(names))).all():
        return codes
    compact = np.unique(codes, return_inverse=True)[1]
    count = compact.max() + 1
    links = coo_array((np.ones(len(names)), (compact, compact[original])), shape=(count, count))
    return connected_components(links, directed=False)[1].astype(np.int64)[compact]


def has_groups(names: np.ndarray) -> bool:
    """Whether any image belongs to a named group."""
    return bool((np.asarray(names, dtype=str) != "").any())
