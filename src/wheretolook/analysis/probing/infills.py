"""Infills of a region, and control places of the same size and shape elsewhere in the same image."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from wheretolook.analysis.grid import LABELS, enlarge
from wheretolook.analysis.probing.faithfulness import RIM
from wheretolook.analysis.probing.imputation import DIAGONAL, DIRECT, LinearImputer, noise_of
from wheretolook.base.prepared import EVIDENCE, MARK, UNKNOWN

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
    free = [np.argwhere(overlap.real < 0.5) for overlap in _overlaps(_turns(at), taken)]
    tidy = [
        corners[np.rint(_overlap(turned, outside)[tuple(corners.T)]) <= allowed + 0.5] if len(corners) else corners
        for turned, corners in zip(_turns(at), free, strict=True)
    ]
    corners_of = tidy if any(map(len, tidy)) else free
    choices = [(turn, corner) for turn, corners in enumerate(corners_of) for corner in corners]
    chosen = generator.permutation(len(choices))[:count]
    side, turned = mask.shape[1], _turns(at)
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
    turns, covered = _turns(shape), np.zeros(scores.shape, bool) if forbidden is None else forbidden
    for turned, overlap in zip(turns, _overlaps(turns, scores + 1j * covered), strict=True):
        if not overlap.size:
            continue
        sums = np.where(overlap.imag < 0.5, overlap.real, -np.inf)
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


def _overlaps(shapes: list[np.ndarray], values: np.ndarray) -> Iterator[np.ndarray]:
    """Sum of values under each shape, at each upper left corner where it lies within the image.

    Args:
        shapes: (p, 2) int64 each, rows and columns of their pixels.
        values: (S, S), transformed once for all shapes; complex: two images at once.
    """
    from scipy.fft import fft2, ifft2, next_fast_len

    size = [next_fast_len(side) for side in values.shape]
    spectrum = fft2(values, size)
    for shape in shapes:
        height, width = np.maximum(values.shape - shape.max(axis=0), 0)
        kernel = np.zeros(size if height and width else (0, 0))
        if not kernel.size:
            yield kernel.astype(np.complex128)
            continue
        kernel[tuple(shape.T)] = 1
        yield ifft2(spectrum * fft2(kernel).conj())[:height, :width]


IMPUTATION, PATCHES, BLUR = "imputation", "patches", "blur"
LARGE = 0.2  # share of the pixels beyond which imputation starts from a coarse solution and is relaxed (multigrid)
SWEEPS = 12  # of relaxation at each finer resolution
COARSEST = 32  # pixels a side that are solved exactly
NEIGHBOURS = np.array([[DIAGONAL, DIRECT, DIAGONAL], [DIRECT, 0, DIRECT], [DIAGONAL, DIRECT, DIAGONAL]])
FAR = 1e-6  # weight of a known pixel that has no missing neighbour
BLUR_SD = 0.08  # of the width
SEAM_SD = 1.0  # pixels over which the border of a patch is blended


class Infiller:
    """Infills for square images of one size.

    Args:
        side: S, pixels.
    """

    def __init__(self, side: int) -> None:
        from scipy.ndimage import gaussian_filter1d

        self.side = side
        # Products with this matrix blur as the filter does, in a tenth of its time.
        self._blur = gaussian_filter1d(np.eye(side), BLUR_SD * side, axis=0, mode="constant")
        self._imputers = {side: LinearImputer(side)}
        while side > COARSEST:
            side = -(-side // 2)
            self._imputers[side] = LinearImputer(side)

    def impute(self, image: np.ndarray, missing: np.ndarray, seed: tuple[int, ...] | None) -> np.ndarray:
        """Noisy linear imputation of one image (S, S, 3): exact, or within a few grey levels where much is missing.

        Args:
            image: (S, S, 3) of values 0 to 255.
            missing: (S, S) bool; some pixel is left.
            seed: of the noise, which is drawn here, so that changes that wait hold none; None: no noise.
        """
        if missing.mean() <= LARGE:
            filled = self._imputers[self.side].fill(image[None], missing)[0]
        else:
            filled = self._smooth(image.astype(np.float64), missing)
        if seed is None:
            return filled
        return LinearImputer.add_noise(filled, missing, noise_of(seed, image.shape))

    def patch(self, image: np.ndarray, place: np.ndarray, donor: np.ndarray) -> np.ndarray:
        """Copy the pixels of one place of an image over another of the same shape.

        Args:
            image: (S, S, 3).
            place: (p,) int64, flat pixel indices that are overwritten.
            donor: (p,) int64, pixel for pixel what they get.
        """
        from scipy.ndimage import gaussian_filter

        flat = image.reshape(-1, image.shape[-1]).astype(np.float64)
        copied = flat.copy()
        copied[place] = flat[donor]
        inside = np.zeros(image.shape[:2])
        inside.ravel()[place] = 1
        share = np.clip(2 * gaussian_filter(inside, SEAM_SD) - 0.5, 0, 1) * inside
        return flat.reshape(image.shape) + share[..., None] * (copied - flat).reshape(image.shape)

    def blur(self, image: np.ndarray, missing: np.ndarray) -> np.ndarray:
        """Gaussian-weighted mean of the pixels that are left, in place of those that are missing."""
        return np.where(missing[..., None], self._blurred(image, ~missing), image)

    def blur_outside(self, image: np.ndarray, kept: np.ndarray) -> np.ndarray:
        """All but the kept pixels blurred, from one another and not from the kept ones: colours stay, detail goes."""
        return np.where(kept[..., None], image, self._blurred(image, ~kept))

    def _blurred(self, image: np.ndarray, source: np.ndarray) -> np.ndarray:
        """Gaussian-weighted mean of the source pixels around each pixel."""
        planes = np.concatenate([image.transpose(2, 0, 1) * source, source[None]])
        *total, mass = self._blur @ planes @ self._blur.T
        total, mass = np.stack(total, axis=-1), mass[..., None]
        mean = image[source].mean(axis=0) if source.any() else image.mean(axis=(0, 1))
        # Far from every source pixel the mean of all takes over.
        return (total + 1e-3 * mean) / (mass + 1e-3)

    def _smooth(self, image: np.ndarray, missing: np.ndarray) -> np.ndarray:
        """Imputation without noise of an image (s, s, C): from that at half the resolution, relaxed at this one."""
        from scipy.ndimage import convolve

        side = len(image)
        if side <= COARSEST or not missing.any():
            return self._imputers[side].fill(image[None], missing)[0] if missing.any() else image
        odd = side % 2
        pixels = np.pad(image, ((0, odd), (0, odd), (0, 0)))
        # Only pixels next to missing ones take part in the system: where a coarse pixel has some, they alone make it.
        beside = convolve(missing.astype(np.float64), NEIGHBOURS, mode="constant")
        known = np.pad(np.where(missing, 0, beside + FAR), ((0, odd), (0, odd)))
        mass, total = _pooled(known[..., None]), _pooled(pixels * known[..., None])
        coarse = self._smooth(total / np.maximum(mass, FAR), mass[..., 0] == 0)
        fine = enlarge(coarse.transpose(2, 0, 1), 2 * len(coarse)).transpose(1, 2, 0)[:side, :side]
        return self._imputers[side].relax(np.where(missing[..., None], fine, image), missing, SWEEPS)


def _pooled(values: np.ndarray) -> np.ndarray:
    """Sums of 2 x 2 pixels: (2h, 2w, C) to (h, w, C)."""
    h, w, channels = values.shape
    return values.reshape(h // 2, 2, w // 2, 2, channels).sum(axis=(1, 3))
