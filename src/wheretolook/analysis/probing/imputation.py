"""Pixels taken out of an image and filled in from what is left, by noisy linear imputation (ROAD, arXiv:2202.00449).

Each missing pixel is the weighted mean of its eight neighbours, missing ones too: one linear system for each image.
Unlike a black, mean or blurred fill it leaves no outline that would tell the network where the pixels were.
"""

from functools import lru_cache

import numpy as np

DIRECT, DIAGONAL = 1 / 6, 1 / 12  # weights of the neighbours
NOISE = 0.01  # standard deviation added to filled pixels, in units of the whole range of values


class LinearImputer:
    """Imputation in square images of one size.

    Args:
        side: S, pixels.
    """

    def __init__(self, side: int) -> None:
        number = np.full((side + 2, side + 2), side * side, dtype=np.int32)
        number[1:-1, 1:-1] = np.arange(side * side).reshape(side, side)
        places = [(down, across) for down in range(3) for across in range(3)]
        shares = [(DIRECT if 1 in place else DIAGONAL) for place in places]
        near = [number[down : side + down, across : side + across].ravel() for down, across in places]
        self._near = np.stack(near, axis=1)  # (S * S, 9), in ascending order; S * S beyond the border
        self._shares = np.array(shares)
        self._shares[4] = 0  # the pixel itself
        self._weights = (self._shares * (self._near < side * side)).sum(axis=1)

    def fill(self, images: np.ndarray, missing: np.ndarray) -> np.ndarray:
        """Fill in pixels that are missing in all of some images at once.

        Args:
            images: (n, S, S, C), any numeric dtype.
            missing: (S, S) bool; some pixel must be left.

        Returns:
            (n, S, S, C) float64; pixels that are left keep their values.
        """
        from scipy.sparse import csc_array
        from scipy.sparse.linalg import splu

        count, channels = len(images), images.shape[-1]
        filled = np.zeros((count, missing.size + 1, channels))  # the last is what lies beyond the border
        filled[:, :-1] = images.reshape(count, -1, channels)
        gone = np.flatnonzero(missing)
        filled[:, gone] = 0
        near = self._near[gone]
        known = np.zeros((count, len(gone), channels))
        for place in np.flatnonzero(self._shares):
            known += self._shares[place] * filled[:, near[:, place]]
        unknown = np.full(missing.size + 1, -1, dtype=np.int32)
        unknown[gone] = np.arange(len(gone))
        numbers = unknown[near]
        entries = np.broadcast_to(-self._shares, near.shape).copy()
        entries[:, 4] = self._weights[gone]
        there = numbers >= 0
        ends = np.concatenate([[0], there.sum(axis=1).cumsum()])
        # The matrix is symmetric, so its rows are its columns.
        system = csc_array((entries[there], numbers[there], ends), shape=(len(gone), len(gone)))
        solve = splu(system, permc_spec="MMD_AT_PLUS_A", options={"SymmetricMode": True}).solve
        solved = solve(known.transpose(1, 0, 2).reshape(len(gone), -1))
        filled[:, gone] = solved.reshape(len(gone), count, channels).transpose(1, 0, 2)
        return filled[:, :-1].reshape(images.shape)

    def fill_noisily(self, image: np.ndarray, missing: np.ndarray, seed: tuple[int, ...]) -> np.ndarray:
        """Fill in one image (S, S, 3) of values 0 to 255, and add noise drawn from a seed."""
        return self.add_noise(self.fill(image[None], missing)[0], missing, noise_of(seed, image.shape))

    @staticmethod
    def add_noise(filled: np.ndarray, missing: np.ndarray, noise: np.ndarray) -> np.ndarray:
        """Add noise, given as (S, S, 3) of standard deviation 1, to filled pixels of an image (S, S, 3), in place."""
        filled[missing] += 255 * NOISE * noise[missing]
        return filled

    def relax(self, image: np.ndarray, missing: np.ndarray, sweeps: int) -> np.ndarray:
        """Bring missing pixels of an image (S, S, C) nearer to the solution of `fill`, from values near it (Jacobi)."""
        side, channels = len(image), image.shape[-1]
        padded = np.zeros((side + 2, (side + 2) * channels))
        values = padded[1:-1, channels:-channels]
        values[:] = image.reshape(side, -1)
        gone = np.repeat(missing, channels, axis=1)
        scale = np.repeat(DIAGONAL / self._weights.reshape(side, side), channels, axis=1)
        sums, found, own = np.empty((side, padded.shape[1])), np.empty(values.shape), np.empty(values.shape)
        for _ in range(sweeps):
            # The weights of the eight neighbours are [1, 2, 1] down times [1, 2, 1] across, less the pixel itself.
            np.add(padded[:-2], padded[2:], out=sums)
            sums += padded[1:-1]
            sums += padded[1:-1]
            np.add(sums[:, : -2 * channels], sums[:, 2 * channels :], out=found)
            found += sums[:, channels:-channels]
            found += sums[:, channels:-channels]
            found -= np.multiply(values, 4, out=own)
            found *= scale
            np.copyto(values, found, where=gone)
        return values.reshape(image.shape)


@lru_cache(maxsize=2)
def noise_of(seed: tuple[int, ...], shape: tuple[int, ...]) -> np.ndarray:
    """Noise of standard deviation 1, kept for the next change of the same image; not to be written to."""
    return np.random.default_rng(list(seed)).normal(size=shape)


def fill_from_frame(images: np.ndarray) -> np.ndarray:
    """Images of which nothing but the outermost frame is left, filled in from it, without noise.

    The same linear system; on a full rectangle the discrete sine transform solves it at once for all images.

    Args:
        images: (n, S, S, C), any numeric dtype, S >= 3.

    Returns:
        (n, S, S, C) float64.
    """
    from scipy.fft import dstn, idstn

    filled = images.astype(np.float64)
    filled[:, 1:-1, 1:-1] = 0
    inner = filled.shape[1] - 2
    shifted = {
        (down, across): filled[:, 1 + down : 1 + down + inner, 1 + across : 1 + across + inner]
        for down in (-1, 0, 1)
        for across in (-1, 0, 1)
    }
    pull = sum((DIRECT if 0 in place else DIAGONAL) * values for place, values in shifted.items() if place != (0, 0))
    wave = np.cos(np.pi * np.arange(1, inner + 1) / (inner + 1))
    strength = 1 - 2 * DIRECT * np.add.outer(wave, wave) - 4 * DIAGONAL * np.multiply.outer(wave, wave)
    filled[:, 1:-1, 1:-1] = idstn(dstn(pull, type=1, axes=(1, 2)) / strength[None, :, :, None], type=1, axes=(1, 2))
    return filled
