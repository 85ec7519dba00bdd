"""Distance between the centres of mass of what two maps speak for."""

import numpy as np

from wheretolook.analysis.agreement.measure import Features, Measure


def centre_of_mass(maps: np.ndarray) -> Features:
    """Centre of mass of each map's positive part.

    Args:
        maps: (..., h, w) float32.

    Returns:
        (..., 2) float64, y and x as shares of the image's height and width (0 where there is no positive part), and
        (...) bool, whether there is one.
    """
    positive = np.maximum(maps, 0)
    total = positive.sum(axis=(-2, -1), dtype=np.float64)
    there = total > 0
    y, x = ((np.arange(n) + 0.5) / n for n in maps.shape[-2:])
    moments = np.stack([positive.sum(axis=-1) @ y, positive.sum(axis=-2) @ x], axis=-1)
    return np.where(there[..., None], moments / np.where(there, total, 1)[..., None], 0.0), there


def distance(first: Features, second: Features) -> np.ndarray:
    """Distance of pairs of centres, in widths of the image."""
    return np.linalg.norm(first[0] - second[0], axis=-1)


def cross_distance(first: Features, second: Features) -> np.ndarray:
    """Distance of each of (b,) centres from each of (n,): (b, n)."""
    y, x = (first[0][:, None, i] - second[0][None, :, i] for i in (0, 1))
    y *= y
    x *= x
    y += x
    return np.sqrt(y, out=y)


CENTRES = Measure(
    "distance",
    centre_of_mass,
    distance,
    cross_distance,
    signed=False,
    more_is_alike=False,
    bounds=(0.0, float(np.sqrt(2))),
)
