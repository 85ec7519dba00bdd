"""The unit of every statistic: the group (a patient) where the index has groups, else the image."""

from collections.abc import Sequence

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components


def group_codes(names: np.ndarray, files: np.ndarray | None = None, copies: Sequence[Sequence[int]] = ()) -> np.ndarray:
    """A number for each image's group; an image without a group is one by itself, and copies of an image are one.

    Args:
        names: (N,) str, '' where an image has no group.
        files: (N,) str, digest of each file; images of one digest are copies.
        copies: images that show the same picture, as rows, a sequence for each picture.

    Returns:
        (N,) int64, equal for images of one group; groups that share a copy are one group.
    """
    names = np.asarray(names, dtype=str)
    codes = np.unique(names, return_inverse=True)[1].astype(np.int64)
    alone = names == ""
    codes = np.where(alone, codes.max(initial=0) + 1 + np.arange(len(names)), codes)
    links = [(unit[0], row) for unit in copies for row in unit[1:]]
    if files is not None and len(names):
        first = np.unique(np.asarray(files, dtype=str), return_index=True, return_inverse=True)
        original = first[1][first[2]]
        links += [(int(original[row]), row) for row in np.flatnonzero(original != np.arange(len(names)))]
    if not links:
        return codes
    compact = np.unique(codes, return_inverse=True)[1]
    count, (a, b) = compact.max() + 1, compact[np.array(links)].T
    graph = coo_array((np.ones(len(links)), (a, b)), shape=(count, count))
    return connected_components(graph, directed=False)[1].astype(np.int64)[compact]


def has_groups(names: np.ndarray) -> bool:
    """Whether any image belongs to a named group."""
    return bool((np.asarray(names, dtype=str) != "").any())
