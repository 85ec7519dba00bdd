"""A centre prior: what a map would be if it knew nothing but that objects stand in the middle of pictures."""

import numpy as np

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
