"""Places of the same size and shape as a region, elsewhere in the same image: controls for what infilling costs."""

from dataclasses import dataclass

import numpy as np

from wheretolook.analysis.maps.regions import LABELS
from wheretolook.analysis.probing.removal import RIM
from wheretolook.data.labels import EVIDENCE, MARK, UNKNOWN

TURNS = 4  # quarter turns of the shape that are tried
SPILL = 0.02  # share of a control place that may lie outside the region's surroundings, beyond what the region's does


@dataclass(frozen=True)
class Places:
    """A region of one image, with places of its shape in the same image.

    Attributes:
        region: (p,) int64, flat pixel indices of the region and its rim.
        others: (m, p) int64, the same of each other place, pixel for pixel in the region's order; none of them
            overlaps the region.
    """

    region: np.ndarray
    others: np.ndarray


def region_pixels(mask: np.ndarray, region: str) -> np.ndarray:
    """A region of a mask with its rim of RIM pixels, where the region is blurred: (S, S) bool; none: all False.

    Args:
        mask: (S, S) uint8 labels.
        region: one of `regions.LABELS`.
    """
    from scipy.ndimage import distance_transform_edt

    inside = np.isin(mask, LABELS[region])
    if not inside.any():
        return inside
    return (distance_transform_edt(~inside) <= RIM) & (mask != UNKNOWN)


def places_like(mask: np.ndarray, region: str, count: int, seed: int | list[int]) -> Places:
    """Draw places of a region's shape, shifted and turned, that overlap neither the region nor evidence nor marks.

    Places in the region's own surroundings (the commonest label of its border) come
    first: a control on an empty background would cost nothing. Where they have none, any free place will do.

    Args:
        mask: (S, S) uint8 labels.
        region: one of `regions.LABELS`, which the image has.
        count: of places.
        seed: of the draw.

    Returns:
        At most `count` other places; none where the shape fits nowhere, as that of a region of half of the image.
    """
    from scipy.ndimage import binary_dilation

    inside = region_pixels(mask, region)
    taken = inside | np.isin(mask, [EVIDENCE, MARK, UNKNOWN])
    if 2 * inside.sum() > inside.size:  # nothing of its size is left
        return Places(np.flatnonzero(inside), np.zeros((0, inside.sum()), dtype=np.int64))
    border = mask[binary_dilation(inside, iterations=2) & ~inside]
    around = np.bincount(border).argmax() if len(border) else mask[inside][0]
    outside = (mask != around) & ~taken
    at = np.argwhere(inside)
    # A region at the border of its surroundings has a rim outside of them, and so may its controls.
    rim = inside & ~np.isin(mask, LABELS[region])
    allowed = len(at) * SPILL + (rim & (mask != around)).sum()
    generator = np.random.default_rng(seed)
    free = [_free_corners(turned, taken) for turned in _turns(at)]
    tidy = [
        corners[_overlap(turned, outside)[tuple(corners.T)] <= allowed + 0.5] if len(corners) else corners
        for turned, corners in zip(_turns(at), free, strict=True)
    ]
    corners_of = tidy if any(map(len, tidy)) else free
    choices = [(turn, corner) for turn, corners in enumerate(corners_of) for corner in corners]
    chosen = generator.permutation(len(choices))[:count]
    side, turned = mask.shape[1], list(_turns(at))
    others = [(turned[choices[i][0]] + choices[i][1]) @ [side, 1] for i in chosen]
    return Places(at @ [side, 1], np.array(others, dtype=np.int64).reshape(-1, len(at)))


def donor_of(places: Places, place: np.ndarray, count: int) -> np.ndarray | None:
    """The first of the last `count` places that overlaps neither the region nor `place`: (p,) int64, or None."""
    for other in places.others[len(places.others) - count :] if count else ():
        if not np.isin(other, place).any():
            return other
    return None


def best_like(scores: np.ndarray, shape: np.ndarray, forbidden: np.ndarray | None = None) -> np.ndarray | None:
    """Where a shape, shifted and turned, covers the highest mean of a map: flat pixel indices (p,) int64.

    Args:
        scores: (S, S).
        shape: (p, 2) int64, rows and columns of its pixels.
        forbidden: (S, S) bool, pixels that it must not cover.

    Returns:
        None where it fits nowhere.
    """
    best, found = -np.inf, None
    for turned in _turns(shape):
        sums = _overlap(turned, scores)
        if not sums.size:
            continue
        if forbidden is not None:
            sums = np.where(_overlap(turned, forbidden) < 0.5, sums, -np.inf)
        place = np.unravel_index(sums.argmax(), sums.shape)
        if sums[place] > best:
            best, found = sums[place], (turned + place) @ [scores.shape[1], 1]
    return found


def _turns(at: np.ndarray) -> list[np.ndarray]:
    """Pixels (p, 2) of a shape turned by each quarter, moved to the upper left corner, in the same order."""
    out = []
    for _ in range(TURNS):
        at = np.stack([at[:, 1], -at[:, 0]], axis=1)
        out.append(at - at.min(axis=0))
    return out


def _overlap(shape: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Sum of values (S, S) under a shape at each upper left corner where it lies within the image."""
    from scipy.signal import fftconvolve

    size = shape.max(axis=0) + 1
    if (size > values.shape).any():
        return np.zeros((0, 0))
    kernel = np.zeros(size)
    kernel[tuple(shape.T)] = 1
    return fftconvolve(values.astype(np.float64), kernel[::-1, ::-1], mode="valid")


def _free_corners(shape: np.ndarray, taken: np.ndarray) -> np.ndarray:
    """Upper left corners (m, 2) at which a shape covers no pixel of `taken`."""
    return np.argwhere(_overlap(shape, taken) < 0.5)
