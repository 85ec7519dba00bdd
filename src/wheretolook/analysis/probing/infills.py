"""Three families of infill for a region of an image: imputation, patches of the same image, and blur.

What a network makes of an infilled image depends on the infill (Rong et al. 2022,
arXiv:2202.00449), so that a claim about a region takes two families that agree. Imputation leaves a smooth place,
patches leave texture and a seam, blur leaves colour alone.
"""

import numpy as np

from wheretolook.analysis.maps.enlarge import enlarge
from wheretolook.analysis.probing.imputation import DIAGONAL, DIRECT, LinearImputer

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
        self.side = side
        self._imputers = {side: LinearImputer(side)}
        while side > COARSEST:
            side = -(-side // 2)
            self._imputers[side] = LinearImputer(side)

    def impute(self, image: np.ndarray, missing: np.ndarray, seed: list[int] | None) -> np.ndarray:
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
        return LinearImputer.add_noise(filled, missing, np.random.default_rng(seed).normal(size=image.shape))

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
        from scipy.ndimage import gaussian_filter

        sd = BLUR_SD * self.side
        weight = source.astype(np.float64)
        total = gaussian_filter(image * weight[..., None], (sd, sd, 0), mode="constant")
        mass = gaussian_filter(weight, sd, mode="constant")[..., None]
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
