"""What a figure of agreement is, beside a correlation: features of each map, and a comparison of two maps' features."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Features = tuple[np.ndarray, ...]


@dataclass(frozen=True)
class Measure:
    """One figure of agreement.

    Attributes:
        name: of the figure.
        features: maps (..., h, w) float32 to arrays that all begin with (...), the last a bool: whether the figure
            exists for the map at all.
        compare: two features of equal leading shape (...) to (...) float64; finite also where the figure doesn't exist.
        cross: features of (b,) and (n,) maps to (b, n), each with each; None: too dear, a sample stands for all.
        signed: whether a null map and its negative both count as what an empty prior could show.
        more_is_alike: False for a distance.
        bounds: what the figure can be.
    """

    name: str
    features: Callable[[np.ndarray], Features]
    compare: Callable[[Features, Features], np.ndarray]
    cross: Callable[[Features, Features], np.ndarray] | None
    signed: bool
    more_is_alike: bool
    bounds: tuple[float, float]


def select(features: Features, index: object) -> Features:
    """The features of some maps: every array indexed alike."""
    return tuple(array[index] for array in features)
