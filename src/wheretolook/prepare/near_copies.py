"""Find near copies: the same picture shifted by a pixel, recompressed as JPEG, or slightly lighter or darker.

Two steps. A thumbnail of each image (less the mean of all thumbnails) is correlated with that of every other image. The
most similar pairs are then compared in detail: by the correlation of their fine structure (a local mean less a wider
one), over shifts of up to two pixels. All sums are of integers, so that every machine finds the same pairs.
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

SMALLEST = 24  # pixels a side: of smaller images too little is left to compare
MOST_PAIRS = 2_000_000_000  # of small pictures that are compared: about a minute
BLOCK = 512  # images that are compared with all others at a time
ALIKE = 0.7  # correlation of small pictures from which two images are compared in detail
ENTRY = 33  # root mean square of a small picture's numbers, which go up to 127
SAME = 0.85  # correlation of fine structure from which they are near copies
SAME_SMALL = 0.9  # the same, of images below 48 pixels, where less structure is left
SHIFT = 2


class NearPairs(NamedTuple):
    """What was found.

    Attributes:
        pairs: (P, 2) int64, rows of the two images of each pair, the lower first.
        compared: images that were compared with all others; fewer than all where there are too many for that.
    """

    pairs: np.ndarray
    compared: int


def find_near_copies(images: np.ndarray) -> NearPairs:
    """Pairs of images that are near copies of each other; exact copies are, too.

    Memory is 200 bytes an image and a block of `BLOCK` by N numbers.

    Args:
        images: (N, S, S, 3) uint8, may be memory-mapped.
    """
    count, size = images.shape[:2]
    if size < SMALLEST or count < 2:
        return NearPairs(np.empty((0, 2), np.int64), 0)
    compared = min(count, max(1, MOST_PAIRS // count))
    queries = np.arange(compared) * count // compared
    detail = lru_cache(maxsize=256)(lambda row: fine_structure(images[row]))
    limit = SAME if size >= 48 else SAME_SMALL
    alike = tqdm(sorted(_alike(images, queries)), desc="near copies", unit="pair", disable=None)
    pairs = [pair for pair in alike if same_structure(*map(detail, pair)) >= limit]
    return NearPairs(np.array(pairs, np.int64).reshape(-1, 2), compared)


def same_structure(a: np.ndarray, b: np.ndarray) -> float:
    """Largest correlation of two fine structures (S, S) over small shifts of one of them; 0 where one is flat."""
    size = len(a)
    middle = a[SHIFT : size - SHIFT, SHIFT : size - SHIFT]
    near = max(_correlation(middle, b, y, x) for y in (-1, 0, 1) for x in (-1, 0, 1))
    if near < 0.4:  # of near copies a neighbouring shift would have shown more
        return near
    span = range(-SHIFT, SHIFT + 1)
    return max(near, *(_correlation(middle, b, y, x) for y in span for x in span if SHIFT in (abs(y), abs(x))))


def fine_structure(image: np.ndarray) -> np.ndarray:
    """Band-passed brightness of an image (S, S, 3) uint8: (s, s) float64 of whole numbers, s at most 191.

    A mean of 3 x 3 pixels less one of 9 x 9; of images below 96 pixels, each pixel less the mean of 5 x 5.
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
    # The structure's mean is nearly 0. Sums of whole numbers below 2^53 are exact in any order.
    products = np.einsum("ij,ij", middle, moved)
    norms = np.einsum("ij,ij", middle, middle) * np.einsum("ij,ij", moved, moved)
    return float(products / np.sqrt(norms)) if norms > 0 else 0.0


def _box_sum(values: np.ndarray, radius: int) -> np.ndarray:
    """Sum over the square of `radius` about each pixel; edges are repeated outwards."""
    if radius == 0:
        return values
    width = 2 * radius + 1
    sums = np.pad(np.pad(values, radius, mode="edge"), ((1, 0), (1, 0))).cumsum(axis=0).cumsum(axis=1)
    return sums[width:, width:] - sums[:-width, width:] - sums[width:, :-width] + sums[:-width, :-width]


def _alike(images: np.ndarray, queries: np.ndarray) -> set[tuple[int, int]]:
    """Pairs whose small pictures are alike: of each query the few images that are most alike, the first of equals."""
    small = _small_pictures(images)
    # The coarser the small pictures, the more are alike by chance.
    most = 4 if small.shape[1] >= 100 else 12
    least = ALIKE * ENTRY**2 * small.shape[1]
    found: set[tuple[int, int]] = set()
    for start in range(0, len(queries), BLOCK):
        rows = queries[start : start + BLOCK]
        # Whole numbers below 2^24: exact in float32, whatever the order of the sums.
        likeness = small[rows].astype(np.float32) @ small.T
        likeness[np.arange(len(rows)), rows] = -np.inf
        for _ in range(most):
            best = likeness.argmax(axis=1)
            value = likeness[np.arange(len(rows)), best]
            alike = value >= least
            if not alike.any():
                break
            found |= {(min(i, j), max(i, j)) for i, j in zip(rows[alike].tolist(), best[alike].tolist(), strict=True)}
            likeness[np.arange(len(rows)), best] = -np.inf
    return found


def _small_pictures(images: np.ndarray) -> np.ndarray:
    """(N, n * n) float32 of whole numbers: n x n brightness, less the mean over all images, with RMS `ENTRY`."""
    size = images.shape[1]
    cells = min(12, size // 7)
    edges = np.arange(cells + 1) * size // cells
    areas = np.outer(np.diff(edges), np.diff(edges))
    grey = np.empty((len(images), cells * cells), np.int32)
    for rows in _blocks(len(images), max(1, 4_000_000 // size**2)):
        values = images[rows].astype(np.int32) @ np.array([1, 2, 1], np.int32)
        sums = np.add.reduceat(np.add.reduceat(values, edges[:-1], axis=1), edges[:-1], axis=2)
        grey[rows] = (sums * 16 // areas).reshape(len(values), -1)
    mean = grey.sum(axis=0, dtype=np.int64) // len(grey)
    small = np.empty(grey.shape, np.float32)
    for rows in _blocks(len(images), 4096):
        centred = (grey[rows] - mean) * cells**2
        centred = (centred - centred.sum(axis=1, keepdims=True) // cells**2).astype(np.float64)
        length = np.sqrt((centred**2).sum(axis=1, keepdims=True))  # of whole numbers: exact before the root
        unit = np.divide(centred * (ENTRY * cells), length, out=np.zeros_like(centred), where=length > 0)
        small[rows] = np.rint(unit).clip(-127, 127)
    return small


def _blocks(count: int, length: int) -> Iterator[slice]:
    return (slice(start, start + length) for start in range(0, count, length))
