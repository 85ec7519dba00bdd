"""Arrays brought to another grid by exact area averaging: nothing is interpolated, and totals are kept."""

import numpy as np


def area_weights(fine: int, coarse: int) -> np.ndarray:
    """Share of each fine cell in each coarse cell, along one axis.

    Args:
        fine: number of cells before; at least `coarse`.
        coarse: number of cells after; need not divide `fine`.

    Returns:
        (coarse, fine) float64; each row sums to 1: a coarse cell is the mean of what it covers.

    Raises:
        ValueError: the grid would become finer, which no averaging can do.
    """
    if not 0 < coarse <= fine:
        raise ValueError(f"expected a grid of 1 to {fine} cells, found {coarse}")
    edges_fine = np.arange(fine + 1) * coarse  # in units of 1 / (fine * coarse) of the width: whole numbers, so exact
    edges_coarse = np.arange(coarse + 1) * fine
    left = np.maximum(edges_coarse[:-1, None], edges_fine[None, :-1])
    right = np.minimum(edges_coarse[1:, None], edges_fine[None, 1:])
    return np.clip(right - left, 0, None) / fine


def to_grid(arrays: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Each array's mean over the cells of a coarser grid.

    Args:
        arrays: (..., H, W), any numeric dtype.
        shape: (h, w), h <= H and w <= W.

    Returns:
        (..., h, w) float32; the arrays themselves where they already have this grid in float32.
    """
    if arrays.shape[-2:] == tuple(shape):
        return arrays.astype(np.float32, copy=False)
    if arrays.shape[-2] % shape[0] == 0 and arrays.shape[-1] % shape[1] == 0:
        return block_means(arrays, shape)
    rows = area_weights(arrays.shape[-2], shape[0]).astype(np.float32)
    columns = area_weights(arrays.shape[-1], shape[1]).astype(np.float32)
    return rows @ (arrays.astype(np.float32, copy=False) @ columns.T)


def block_means(arrays: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Means over whole blocks, where the coarse cells are made of whole fine cells: the same, and much faster."""
    down, across = arrays.shape[-2] // shape[0], arrays.shape[-1] // shape[1]
    blocks = arrays.reshape(*arrays.shape[:-2], shape[0], down, shape[1], across)
    # Row by row first: the innermost sum then runs over memory in order.
    return blocks.sum(axis=-3, dtype=np.float32).sum(axis=-1) / np.float32(down * across)


def common_grid(first: tuple[int, int], second: tuple[int, int]) -> tuple[int, int]:
    """The coarser of two grids, axis by axis: the one on which both can be compared without inventing detail."""
    return min(first[0], second[0]), min(first[1], second[1])
