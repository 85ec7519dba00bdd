"""Rows of a memory-mapped array, a block at a time: memory stays bounded however many images there are."""

from collections.abc import Iterator

import numpy as np

BLOCK_BYTES = 16 * 2**20


def row_blocks(rows: np.ndarray, bytes_a_row: int) -> Iterator[np.ndarray]:
    """Split row numbers into blocks of about 16 MiB of array each.

    Args:
        rows: (n,) int64.
        bytes_a_row: what one row of the array, and what is computed of it, takes.
    """
    size = max(1, BLOCK_BYTES // max(1, bytes_a_row))
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


def whole_group_blocks(groups: np.ndarray, size: int) -> Iterator[np.ndarray]:
    """Split positions into blocks of about `size` that never cut a group in two.

    Args:
        groups: (n,) integers, the group of each image.
        size: images in a block; a larger group is a block by itself.

    Yields:
        (b,) int64 positions in `groups`, each once, group by group.
    """
    order = np.argsort(groups, kind="stable")
    starts = np.unique(groups[order], return_index=True)[1]
    begin = 0
    for start, end in zip(starts, np.append(starts[1:], len(order)), strict=False):
        if end - begin > size and start > begin:
            yield order[begin:start]
            begin = start
    if begin < len(order):
        yield order[begin:]
