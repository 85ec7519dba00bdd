"""Maps and masks on coarser grids by exact area averaging, which keeps totals; correlation of maps."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from wheretolook.base.prepared import EVIDENCE, FOREGROUND, MARK, UNKNOWN


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


SPREAD = 0.25  # standard deviation of the Gaussian, in widths of the image


def centre_prior(shape: tuple[int, int]) -> np.ndarray:
    """Gaussian around the image's centre, with a standard deviation of a quarter of each side.

    Args:
        shape: (h, w) of the grid.

    Returns:
        (h, w) float32, 1 at the very centre.
    """
    y, x = (((np.arange(n) + 0.5) / n - 0.5) / SPREAD for n in shape)
    return np.exp(-0.5 * (y[:, None] ** 2 + x[None, :] ** 2)).astype(np.float32)


def enlarge(maps: np.ndarray, size: int | tuple[int, int]) -> np.ndarray:
    """Maps at the size of their images, bilinearly between the middles of their cells. A view, never stored.

    Args:
        maps: (n, h, w).
        size: H and W of the images, or the side of a square.

    Returns:
        (n, H, W) float64.
    """
    sides = (size, size) if isinstance(size, int) else size
    down, across = (_bilinear(cells, side) for cells, side in zip(maps.shape[1:], sides, strict=True))
    return down @ maps.astype(np.float64) @ across.T


def _bilinear(cells: int, side: int) -> np.ndarray:
    """Weights (S, h) of cells at each pixel's middle; beyond the outer cells' middles the outer cell alone counts."""
    place = np.clip((np.arange(side) + 0.5) * cells / side - 0.5, 0, cells - 1)
    low = np.minimum(place.astype(int), max(cells - 2, 0))
    weights = np.zeros((side, cells))
    weights[np.arange(side), low] = 1 - (place - low)
    weights[np.arange(side), np.minimum(low + 1, cells - 1)] += place - low
    return weights


class RunningMoments:
    """Running mean and standard deviation of blocks of arrays (Chan, Golub and LeVeque 1979), in float64.

    Args:
        shape: of one array.
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.count = 0
        self._mean = np.zeros(shape)
        self._squares = np.zeros(shape)

    def add(self, block: np.ndarray) -> None:
        """Take in a block: (n, *shape), any numeric dtype, n may be 0."""
        if not len(block):
            return
        total = self.count + len(block)
        mean = block.mean(axis=0, dtype=np.float64)
        delta = mean - self._mean
        centred = block - mean
        self._squares += np.einsum("n...,n...->...", centred, centred) + delta**2 * (self.count * len(block) / total)
        self._mean += delta * (len(block) / total)
        self.count = total

    def mean(self) -> np.ndarray:
        """Mean so far, float32.

        Raises:
            ValueError: nothing was added.
        """
        if not self.count:
            raise ValueError("the mean of no arrays is undefined")
        return self._mean.astype(np.float32)

    def spread(self) -> np.ndarray:
        """Standard deviation (n - 1) so far, float32.

        Raises:
            ValueError: fewer than two arrays were added.
        """
        if self.count < 2:
            raise ValueError(f"the spread of {self.count} arrays is undefined")
        return np.sqrt(self._squares / (self.count - 1)).astype(np.float32)


LABELS = {"evidence": [EVIDENCE], "mark": [MARK], "foreground": [FOREGROUND, EVIDENCE]}


@dataclass(frozen=True)
class Regions:
    """Area fractions of cells, each (n, h, w) float32 of the whole cell: `known` is 1 where no pixel is unknown."""

    known: np.ndarray
    evidence: np.ndarray
    mark: np.ndarray
    foreground: np.ndarray  # the evidence included


def regions_on_grid(masks: np.ndarray, shape: tuple[int, int]) -> Regions:
    """Exact area fractions of each region in each cell of a map.

    Args:
        masks: (n, S, S) uint8 labels: 0 background, 1 foreground, 2 evidence, 3 mark, 255 unknown.
        shape: (h, w) of the map, at most (S, S).
    """
    return Regions(
        known=to_grid(masks != UNKNOWN, shape),
        **{name: to_grid(np.isin(masks, labels), shape) for name, labels in LABELS.items()},
    )


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
    ranks: np.ndarray = place + 1
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
    a, b = (to_grid(maps, grid).reshape(len(maps), -1) for maps in (first, second))
    return correlate(a, b)
