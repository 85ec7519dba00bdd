"""Pearson's and Spearman's correlation of maps, cell by cell, as products of standardised rows."""

import numpy as np

from wheretolook.analysis.maps.grid import common_grid, to_grid

CONSTANT = 1e-6  # a spread below this share of the largest value is rounding, not a map


def standardise(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows of mean 0 and length 1, so that the product of two of them is Pearson's r.

    Args:
        rows: (..., c) float32.

    Returns:
        (..., c) float32, all 0 where the row is constant, and (...) bool: whether it varies. A constant row has no
        correlation; its product 0 is never to be read as one.
    """
    centred = rows - rows.mean(axis=-1, keepdims=True)
    length = np.sqrt(np.einsum("...c,...c->...", centred, centred))
    largest = np.abs(rows).max(axis=-1)
    varies = length > CONSTANT * largest * np.sqrt(rows.shape[-1])
    return centred / np.where(varies, length, np.inf)[..., None].astype(np.float32), varies


def average_ranks(rows: np.ndarray) -> np.ndarray:
    """Rank of each value in its row, 1 to c, ties sharing the mean of their ranks: (..., c) float32.

    Pearson's r of ranks is Spearman's.
    """
    order = np.argsort(rows, axis=-1, kind="stable")
    ordered = np.take_along_axis(rows, order, axis=-1)
    place = np.broadcast_to(np.arange(rows.shape[-1], dtype=np.float32), rows.shape)
    ranks = place + 1
    ties = ordered[..., 1:] == ordered[..., :-1]
    if ties.any():
        new = np.concatenate([np.ones_like(ties[..., :1]), ~ties], axis=-1)
        ends = np.concatenate([~ties, np.ones_like(ties[..., :1])], axis=-1)
        first = np.maximum.accumulate(np.where(new, place, 0), axis=-1)
        last = np.minimum.accumulate(np.where(ends, place, rows.shape[-1])[..., ::-1], axis=-1)[..., ::-1]
        ranks = (first + last) / 2 + 1
    out = np.empty(rows.shape, dtype=np.float32)
    np.put_along_axis(out, order, ranks, axis=-1)
    return out


def correlate(first: np.ndarray, second: np.ndarray, ranked: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Correlation of each pair of rows.

    Args:
        first: (n, c) float32.
        second: (n, c) float32.
        ranked: Spearman's instead of Pearson's.

    Returns:
        (n,) float64, 0 where undefined, and (n,) bool, whether both rows vary.
    """
    if ranked:
        first, second = average_ranks(first), average_ranks(second)
    (a, a_varies), (b, b_varies) = standardise(first), standardise(second)
    return np.einsum("nc,nc->n", a, b).astype(np.float64), a_varies & b_varies


def correlate_maps(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pearson's correlation of the two maps of each image, on the coarser of both grids.

    Args:
        first: (n, h, w) float32.
        second: (n, h', w') float32.

    Returns:
        As of `correlate`: (n,) float64, 0 where undefined, and (n,) bool, whether both maps vary.
    """
    grid = common_grid(first.shape[1:], second.shape[1:])
    return correlate(*(to_grid(maps, grid).reshape(len(maps), -1) for maps in (first, second)))
