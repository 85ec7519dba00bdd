"""Images that show the same picture, equal or nearly so, and what to do if they are in different splits (`on_leak`)."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from wheretolook.base.errors import InputError
from wheretolook.base.prepared import SPLITS

SMALLEST = 32  # pixels a side: in smaller images, different pictures are too often alike
SMALL = 96  # below this size thumbnails are compared over shifts too, since a pixel is a large part of one
MOST_PAIRS = 2_000_000_000  # of thumbnails of 144 numbers that are compared: about a minute
BLOCK = 512  # images that are compared with all others at a time
ALIKE = 0.7  # correlation of thumbnails from which two images are compared in detail
ALIKE_SMALL = 0.97  # the same below SMALL, at the best shift
ENTRY = 33  # root mean square of a thumbnail's numbers, which go up to 127
SAME = 0.85  # correlation of fine structure from which they are near copies
SAME_SMALL = 0.9  # the same below 48 pixels, where there is less structure
SHIFT = 2

Shift = tuple[int, int]  # down, right
NEIGHBOURS: tuple[Shift, ...] = tuple((down, right) for down in (-1, 0, 1) for right in (-1, 0, 1))


class NearPairs(NamedTuple):
    """Result of `find_near_copies`.

    Attributes:
        pairs: (P, 2) int64, rows of the two images of each pair, the lower first.
        compared: number of images that were compared with all others; less than N if there are too many.
    """

    pairs: np.ndarray
    compared: int


def find_near_copies(images: np.ndarray) -> NearPairs:
    """Find pairs of images that are near copies of each other, including exact copies.

    Memory is 200 bytes an image and a block of `BLOCK` by N numbers. Images below `SMALLEST` are not compared.

    Args:
        images: (N, S, S, 3) uint8, may be memory-mapped.
    """
    count, size = images.shape[:2]
    if size < SMALLEST or count < 2:
        return NearPairs(np.empty((0, 2), np.int64), 0)
    cost = len(_shifts(size)) * _cells(size) ** 2 / 144
    compared = min(count, max(1, int(MOST_PAIRS / cost) // count))
    queries = np.arange(compared) * count // compared
    detail = lru_cache(maxsize=256)(lambda row: fine_structure(images[row]))
    alike = tqdm(sorted(_alike(images, queries)), desc="near copies", unit="pair", disable=None)
    limit = SAME if size >= 48 else SAME_SMALL
    pairs = [pair for pair in alike if same_structure(*map(detail, pair)) >= limit]
    return NearPairs(np.array(pairs, np.int64).reshape(-1, 2), compared)


def same_structure(a: np.ndarray, b: np.ndarray) -> float:
    """Largest correlation of two fine structures (S, S) over small shifts; 0 if one of them is flat."""
    size = len(a)
    middle = a[SHIFT : size - SHIFT, SHIFT : size - SHIFT]
    near = max(_correlation(middle, b, y, x) for y in (-1, 0, 1) for x in (-1, 0, 1))
    if near < 0.4:  # a near copy correlates more at a neighbouring shift
        return near
    span = range(-SHIFT, SHIFT + 1)
    return max(near, *(_correlation(middle, b, y, x) for y in span for x in span if SHIFT in (abs(y), abs(x))))


def fine_structure(image: np.ndarray) -> np.ndarray:
    """Band-passed brightness of an image (S, S, 3) uint8: (s, s) float64 of whole numbers, s at most 191.

    The mean of 3 x 3 pixels less that of 9 x 9; below 96 pixels, each pixel less the mean of 5 x 5.
    """
    grey = image.astype(np.int64) @ np.array([1, 2, 1])
    factor = max(1, len(grey) // 96)
    side = len(grey) // factor
    grey = grey[: side * factor, : side * factor].reshape(side, factor, side, factor).sum(axis=(1, 3)) // factor**2
    inner, outer = (1, 4) if side >= 96 else (0, 2)
    areas = (2 * inner + 1) ** 2, (2 * outer + 1) ** 2
    return (_box_sum(grey, inner) * areas[1] - _box_sum(grey, outer) * areas[0]).astype(np.float64) // 16


def _correlation(middle: np.ndarray, other: np.ndarray, down: int, right: int) -> float:
    height, width = middle.shape
    moved = other[SHIFT + down :, SHIFT + right :][:height, :width]
    # The mean is nearly 0, so it is not subtracted. Sums of whole numbers below 2^53 are exact in any order.
    products = np.einsum("ij,ij", middle, moved)
    norms = np.einsum("ij,ij", middle, middle) * np.einsum("ij,ij", moved, moved)
    return float(products / np.sqrt(norms)) if norms > 0 else 0.0


def _box_sum(values: np.ndarray, radius: int) -> np.ndarray:
    """Sum over the square of `radius` around each pixel; edges are extended."""
    if radius == 0:
        return values
    width = 2 * radius + 1
    sums = np.pad(np.pad(values, radius, mode="edge"), ((1, 0), (1, 0))).cumsum(axis=0).cumsum(axis=1)
    return sums[width:, width:] - sums[:-width, width:] - sums[width:, :-width] + sums[:-width, :-width]


def _shifts(size: int) -> tuple[Shift, ...]:
    return NEIGHBOURS if size < SMALL else ((0, 0),)


def _cells(size: int) -> int:
    """Side of a thumbnail."""
    return min(6 if size < SMALL else 12, size // 7)


def _alike(images: np.ndarray, queries: np.ndarray) -> set[tuple[int, int]]:
    """Pairs of similar thumbnails: each query with its few most similar images, the first of equals."""
    size = images.shape[1]
    cells, shifts = _cells(size), _shifts(size)
    margin = max(map(max, shifts))
    grey = np.empty((len(images), cells * cells), np.int32)
    for rows in _blocks(len(images), max(1, 4_000_000 // size**2)):
        grey[rows] = _cell_means(images[rows], cells, margin, (0, 0))
    mean = grey.sum(axis=0, dtype=np.int64) // len(grey)
    thumbnails = np.empty(grey.shape, np.float32)
    for rows in _blocks(len(images), 4096):
        thumbnails[rows] = _normalised(grey[rows] - mean)
    # Coarse thumbnails are similar by chance more often.
    most = 4 if cells >= 10 else 12
    least = (ALIKE_SMALL if size < SMALL else ALIKE) * ENTRY**2 * cells**2
    pairs: set[tuple[int, int]] = set()
    for start in range(0, len(queries), BLOCK):
        block = queries[start : start + BLOCK]
        likeness = np.full((len(block), len(images)), -np.inf, np.float32)
        for shift in shifts:
            query = _normalised(_cell_means(images[block], cells, margin, shift) - mean) if any(shift) else None
            # Whole numbers below 2^24: exact in float32, whatever the order of the sums.
            np.maximum(likeness, (thumbnails[block] if query is None else query) @ thumbnails.T, out=likeness)
        likeness[np.arange(len(block)), block] = -np.inf
        for _ in range(most):
            best = likeness.argmax(axis=1)
            value = likeness[np.arange(len(block)), best]
            alike = value >= least
            if not alike.any():
                break
            pairs |= {(min(i, j), max(i, j)) for i, j in zip(block[alike].tolist(), best[alike].tolist(), strict=True)}
            likeness[np.arange(len(block)), best] = -np.inf
    return pairs


def _cell_means(images: np.ndarray, cells: int, margin: int, shift: Shift) -> np.ndarray:
    """(N, cells * cells) int32, mean brightness of each cell of the images without a margin, shifted within it."""
    inner = images.shape[1] - 2 * margin
    down, right = margin + shift[0], margin + shift[1]
    values = images[:, down : down + inner, right : right + inner].astype(np.int32) @ np.array([1, 2, 1], np.int32)
    edges = np.arange(cells + 1) * inner // cells
    areas = np.outer(np.diff(edges), np.diff(edges))
    sums = np.add.reduceat(np.add.reduceat(values, edges[:-1], axis=1), edges[:-1], axis=2)
    return (sums * 16 // areas).reshape(len(values), -1).astype(np.int32)


def _normalised(grey: np.ndarray) -> np.ndarray:
    """(N, n) float32 of whole numbers from (N, n) integers: less their mean, with RMS `ENTRY`."""
    cells = grey.shape[1]
    centred = grey * cells
    centred = (centred - centred.sum(axis=1, keepdims=True) // cells).astype(np.float64)
    length = np.sqrt((centred**2).sum(axis=1, keepdims=True))  # of whole numbers: exact before the root
    unit = np.divide(centred * (ENTRY * np.sqrt(cells)), length, out=np.zeros_like(centred), where=length > 0)
    return np.rint(unit).clip(-127, 127).astype(np.float32)


def _blocks(count: int, length: int) -> Iterator[slice]:
    return (slice(start, start + length) for start in range(0, count, length))


@dataclass(frozen=True)
class Row:
    """One prepared image: its row in the index, and the hash of its pixels."""

    image_id: str
    class_name: str
    class_index: int
    split: str
    group: str
    width: int
    height: int
    sha256: str
    pixels: str


def pictures(rows: Sequence[Row], near: NearPairs) -> list[list[int]]:
    """Lists of rows that show the same picture, directly or through others; only those of two or more rows.

    Args:
        rows: rows of the index.
        near: pairs of these rows, from `find_near_copies`. Rows with equal pixels are joined too.
    """
    return _units(len(rows), [*near.pairs.tolist(), *_links(equal_pixels(rows))])


def without_leaks(rows: Sequence[Row], near: NearPairs, on_leak: str) -> np.ndarray:
    """Choose the rows to keep where a picture is in more than one split.

    Of the copies, those in the last of train, val and test are kept, so that official test splits stay complete.

    Args:
        rows: rows of the index.
        near: as in `pictures`.
        on_leak: "report" keeps all rows, "drop" leaves out the other copies, "refuse" raises an error.

    Returns:
        (K,) int64, ascending positions of the rows to keep.

    Raises:
        InputError: a picture is in more than one split and `on_leak` is "refuse".
    """
    kept = np.ones(len(rows), bool)
    if on_leak == "report":
        return np.flatnonzero(kept)
    leaked = [unit for unit in pictures(rows, near) if len({rows[row].split for row in unit}) > 1]
    if leaked and on_leak == "refuse":
        shown = "; ".join(" and ".join(rows[row].image_id for row in unit[:2]) for unit in leaked[:3])
        raise InputError(
            "splits",
            expected="each picture in one split only (equal pixels or near copies)",
            found=f"{len(leaked)} pictures in more than one, such as {shown}",
            hint="remove the copies, or set `prepare.on_leak: drop`",
        )
    for unit in leaked:
        last = max(SPLITS.index(rows[row].split) for row in unit)
        kept[[row for row in unit if SPLITS.index(rows[row].split) < last]] = False
    return np.flatnonzero(kept)


def kept_pairs(near: NearPairs, kept: np.ndarray, count: int) -> NearPairs:
    """The pairs among the kept rows, renumbered; `count` is the number of rows before."""
    number = np.full(count, -1)
    number[kept] = np.arange(len(kept))
    pairs = number[near.pairs]
    return NearPairs(pairs[(pairs >= 0).all(axis=1)], min(near.compared, len(kept)))


def equal_pixels(rows: Sequence[Row]) -> list[list[int]]:
    """Lists of rows with equal pixels."""
    same: dict[str, list[int]] = defaultdict(list)
    for row, each in enumerate(rows):
        same[each.pixels].append(row)
    return [unit for unit in same.values() if len(unit) > 1]


def _links(units: Iterable[list[int]]) -> Iterable[tuple[int, int]]:
    return ((unit[0], other) for unit in units for other in unit[1:])


def _units(count: int, links: Iterable[Sequence[int]]) -> list[list[int]]:
    """Connected components of two or more rows, each in ascending order."""
    first = np.arange(count)

    def root(row: int) -> int:
        while first[row] != row:
            first[row] = row = first[first[row]]
        return int(row)

    for a, b in links:
        low, high = sorted((root(a), root(b)))
        first[high] = low
    units: dict[int, list[int]] = defaultdict(list)
    for row in range(count):
        units[root(row)].append(row)
    return [unit for unit in units.values() if len(unit) > 1]
