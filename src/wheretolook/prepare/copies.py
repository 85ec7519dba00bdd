"""Images that show the same picture, equal or nearly so."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from wheretolook.base.resources import release_pages, usable_cores

SMALLEST = 32  # pixels a side: in smaller images, different pictures are too often alike
SMALL = 96  # below this size thumbnails are compared over shifts too, since a pixel is a large part of one
ALL_WITH_ALL = 8192  # images up to which each thumbnail is compared with all others, and not only with similar ones
BUCKETS = 3  # buckets of similar thumbnails that an image is in
BLOCK = 512  # images that are compared with all others at a time
ALIKE = 0.7  # correlation of thumbnails from which two images are compared in detail
ALIKE_SMALL = 0.97  # the same below SMALL, at the best shift
# Root mean square of a thumbnail's numbers, at most 127: of 36 numbers, the largest is at most 6 times as large.
ENTRY, ENTRY_SMALL = 33, 21
SAME = 0.85  # correlation of fine structure from which they are near copies
SAME_SMALL = 0.9  # the same below 48 pixels, where there is less structure
SHIFT = 2

Shift = tuple[int, int]  # down, right
NEIGHBOURS: tuple[Shift, ...] = tuple((down, right) for down in (-1, 0, 1) for right in (-1, 0, 1))


class NearPairs(NamedTuple):
    """Result of `find_near_copies`."""

    pairs: np.ndarray  # (P, 2) int64, rows of the two images of each pair, the lower first
    compared: int  # number of images that were searched for near copies: all, or 0 below `SMALLEST`


def find_near_copies(images: np.ndarray) -> NearPairs:
    """Find pairs of images that are near copies of each other, including exact copies.

    First by thumbnails: each with all others, or, of more than `ALL_WITH_ALL` images, with those in the same buckets.
    Then by fine structure. Memory is at most 700 bytes an image. Images below `SMALLEST` are not compared.

    Args:
        images: (N, S, S, 3) uint8, may be memory-mapped.
    """
    count, size = images.shape[:2]
    if size < SMALLEST or count < 2:
        return NearPairs(np.empty((0, 2), np.int64), 0)
    detail = lru_cache(maxsize=256)(lambda row: fine_structure(images[row]))
    alike = tqdm(sorted(_alike(images)), desc="near copies", unit="pair", disable=None)
    limit = SAME if size >= 48 else SAME_SMALL
    pairs = [pair for pair in alike if same_structure(*map(detail, pair)) >= limit]
    release_pages(images)
    return NearPairs(np.array(pairs, np.int64).reshape(-1, 2), count)


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


def _alike(images: np.ndarray) -> set[tuple[int, int]]:
    """Pairs of similar thumbnails: each with its few most similar images, the first of equals."""
    size = images.shape[1]
    cells, shifts, entry = _cells(size), _shifts(size), ENTRY_SMALL if size < SMALL else ENTRY
    blocks = list(_blocks(len(images), max(1, 1_000_000 // size**2)))
    with ThreadPoolExecutor(usable_cores()) as threads:

        def of_blocks(work: Callable[[np.ndarray], np.ndarray]) -> Iterator[tuple[slice, np.ndarray]]:
            for some in _blocks(len(blocks), 16):
                yield from zip(blocks[some], threads.map(lambda rows: work(images[rows]), blocks[some]), strict=True)
                release_pages(images)

        total = sum(
            means.sum(axis=(0, 1)) for _, means in of_blocks(lambda block: _cell_means(block, cells, ((0, 0),)))
        )
        mean = total // len(images)
        thumbnails = np.empty((len(shifts), len(images), cells * cells), np.int8)  # moved by each shift
        for rows, moved in of_blocks(lambda block: _normalised(_cell_means(block, cells, shifts) - mean, entry)):
            thumbnails[:, rows] = moved
    # Coarse thumbnails are similar by chance more often.
    most = 4 if cells >= 10 else 12
    least = (ALIKE_SMALL if size < SMALL else ALIKE) * entry**2 * cells**2
    similar = _similar_of_all if len(images) <= ALL_WITH_ALL else _similar_in_buckets
    return similar(thumbnails, shifts.index((0, 0)), most, least)


def _similar_of_all(thumbnails: np.ndarray, unmoved: int, most: int, least: float) -> set[tuple[int, int]]:
    """Pairs of each image and its `most` most similar ones of all, over shifts, with a product of at least `least`."""
    pairs: set[tuple[int, int]] = set()
    others = thumbnails[unmoved].astype(np.float32).T
    for rows in _blocks(others.shape[1], BLOCK):
        block = np.arange(others.shape[1])[rows]
        likeness = np.full((len(block), others.shape[1]), -np.inf, np.float32)
        for moved in thumbnails[:, rows].astype(np.float32):
            # Whole numbers below 2^24: exact in float32, whatever the order of the sums.
            np.maximum(likeness, moved @ others, out=likeness)
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


def _similar_in_buckets(thumbnails: np.ndarray, unmoved: int, most: int, least: float) -> set[tuple[int, int]]:
    """As `_similar_of_all`, but each image is compared only with those in the buckets of its thumbnails.

    The centres of buckets are some of the thumbnails. An image is in the buckets of the `BUCKETS` most similar centres,
    and is looked for in as many, or, over shifts, in one for each. Of more than `most` pairs an image in a bucket, the
    most similar are taken.
    """
    count = thumbnails.shape[1]
    centres = thumbnails[unmoved, :: max(1, int(np.sqrt(count / BUCKETS)))].astype(np.float32)
    inside = _by_bucket(_nearest(thumbnails[unmoved], centres, BUCKETS), len(centres))
    probes = 1 if len(thumbnails) > 1 else BUCKETS
    queries = _by_bucket(np.concatenate([_nearest(moved, centres, probes) for moved in thumbnails]), len(centres))
    found = [np.empty(0, np.int64)]
    for bucket in tqdm(range(len(centres)), desc="near copies", unit="bucket", disable=None):
        queried, members = queries[bucket] // probes, inside[bucket] // BUCKETS
        others = thumbnails[unmoved, members].astype(np.float32).T
        for rows in _blocks(len(queried), 1024):
            shift, row = np.divmod(queried[rows], count)
            likeness = thumbnails[shift, row].astype(np.float32) @ others
            place = np.flatnonzero(likeness >= least)
            place = place[row[place // len(members)] != members[place % len(members)]]
            if len(place) > most * len(row):
                place = place[np.argsort(-likeness.ravel()[place], kind="stable")[: most * len(row)]]
            first, second = row[place // len(members)], members[place % len(members)]
            found.append(np.minimum(first, second) * count + np.maximum(first, second))
    return {divmod(pair, count) for pair in np.unique(np.concatenate(found)).tolist()}


def _nearest(thumbnails: np.ndarray, centres: np.ndarray, most: int) -> np.ndarray:
    """The `most` most similar centres of each thumbnail, (N, most) int32."""
    nearest = np.empty((len(thumbnails), most), np.int32)
    for rows in _blocks(len(thumbnails), BLOCK):
        likeness = thumbnails[rows].astype(np.float32) @ centres.T
        for place in range(most):
            best = nearest[rows, place] = likeness.argmax(axis=1)
            likeness[np.arange(len(best)), best] = -np.inf
    return nearest


def _by_bucket(nearest: np.ndarray, count: int) -> list[np.ndarray]:
    """Positions in the flattened `nearest` of each of the buckets."""
    order = np.argsort(nearest, axis=None, kind="stable")
    return np.split(order, np.searchsorted(nearest.ravel()[order], np.arange(1, count)))


def _cell_means(images: np.ndarray, cells: int, shifts: Sequence[Shift]) -> np.ndarray:
    """Mean brightness of each cell, 16 times, of the images without a margin, moved within it by each shift.

    Returns:
        (number of shifts, N, cells * cells) int32, of images (N, S, S, 3) uint8.
    """
    count, size = images.shape[:2]
    margin = max(map(max, _shifts(size)))
    edges = np.arange(cells + 1) * (size - 2 * margin) // cells
    areas = np.outer(np.diff(edges), np.diff(edges))
    moves = sorted({one for shift in shifts for one in shift})
    # (moves * cells, S): 1 for the pixels of each cell. Products are whole numbers below 2^24, later 2^53: exact.
    inside = np.zeros((len(moves) * cells, size), np.float32)
    for place, (move, cell) in enumerate(product(moves, range(cells))):
        inside[place, margin + move + edges[cell] : margin + move + edges[cell + 1]] = 1
    weights = np.kron(inside, np.array([1, 2, 1], np.float32)).T
    across = images.reshape(count * size, 3 * size).astype(np.float32) @ weights
    down_too = inside.astype(np.float64) @ across.reshape(count, size, -1).astype(np.float64)
    sums = down_too.astype(np.int64).reshape(count, len(moves), cells, len(moves), cells)
    means = [sums[:, moves.index(down), :, moves.index(right)] * 16 // areas for down, right in shifts]
    return np.stack(means).astype(np.int32).reshape(len(shifts), count, -1)


def _normalised(grey: np.ndarray, entry: int) -> np.ndarray:
    """(..., n) int8 from (..., n) integers: less their mean, with RMS `entry`."""
    cells = grey.shape[-1]
    centred = grey * cells
    centred = (centred - centred.sum(axis=-1, keepdims=True) // cells).astype(np.float64)
    length = np.sqrt((centred**2).sum(axis=-1, keepdims=True))  # of whole numbers: exact before the root
    unit = np.divide(centred * (entry * np.sqrt(cells)), length, out=np.zeros_like(centred), where=length > 0)
    return np.rint(unit).clip(-127, 127).astype(np.int8)


def _blocks(count: int, length: int) -> Iterator[slice]:
    return (slice(start, start + length) for start in range(0, count, length))


@dataclass(frozen=True, slots=True)
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


def equal_pixels(rows: Sequence[Row]) -> list[list[int]]:
    """Lists of rows with equal pixels."""
    first: dict[str, int] = {}
    same: dict[int, list[int]] = {}
    for row, each in enumerate(rows):
        if (other := first.setdefault(each.pixels, row)) != row:
            same.setdefault(other, [other]).append(row)
    return [same[other] for other in sorted(same)]


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
    units: dict[int, list[int]] = {}
    for row in np.flatnonzero(first != np.arange(count)).tolist():
        lowest = root(row)
        units.setdefault(lowest, [lowest]).append(row)
    return [units[lowest] for lowest in sorted(units)]
