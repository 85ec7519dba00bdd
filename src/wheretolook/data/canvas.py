"""Soft shapes and smooth noise on a square canvas, from which synthetic cells are drawn.

Lengths and places are shares of the canvas' width, so that one scene can be drawn at any size: x to the right and y
downwards, both from -0.5 to 0.5, with the centre at (0, 0).

All is computed in float64, and only the finished image is rounded, to 8 bits. exp, cos, arctan2 and matrix products
differ between processors in their last bits: in float32 that changes a pixel in some files, in float64 none.
"""

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np


@dataclass(frozen=True)
class Canvas:
    """A square of `size` × `size` pixels."""

    size: int

    @cached_property
    def places(self) -> np.ndarray:
        """(S,) float64, the pixel centres along one axis."""
        return (np.arange(self.size) + 0.5) / self.size - 0.5

    def polar(self, x: float, y: float, angle: float = 0.0, stretch: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
        """Distance from (x, y) and direction seen from there, (S, S) float64 each.

        Args:
            x, y: the origin.
            angle: radians by which the axes are turned.
            stretch: a shape drawn with these distances is longer than wide by this factor.
        """
        across, down = self.places[None, :] - x, self.places[:, None] - y
        cosine, sine = np.cos(angle), np.sin(angle)
        u = (across * cosine + down * sine) / np.sqrt(stretch)
        v = (down * cosine - across * sine) * np.sqrt(stretch)
        return np.sqrt(u * u + v * v), np.arctan2(v, u)

    def along(self, turn: float) -> np.ndarray:
        """How far each pixel lies from the centre in the direction `turn` (radians), (S, S) float64."""
        return self.places[None, :] * np.cos(turn) + self.places[:, None] * np.sin(turn)

    def inside(self, depth: np.ndarray, softness: float = 0.0) -> np.ndarray:
        """How far a pixel belongs to a shape, 0 to 1.

        Args:
            depth: (S, S), distance to the shape's border, positive inside.
            softness: width of the blurred border beside that of one pixel.
        """
        return np.clip(depth / (softness + 1 / self.size) + 0.5, 0, 1)

    def noise(self, stream: np.random.Generator, cells: int) -> np.ndarray:
        """Smooth noise, (S, S) float64: normal values on a grid of `cells` × `cells`, joined smoothly."""
        weights = _weights(self.size, cells)
        return weights @ stream.standard_normal((cells + 1, cells + 1), dtype=np.float32) @ weights.T


@lru_cache(maxsize=32)
def _weights(size: int, cells: int) -> np.ndarray:
    """(S, cells + 1): the share of each grid point in each pixel, eased so that no grid line shows."""
    place = (np.arange(size) + 0.5) / size * cells
    left = np.floor(place).astype(int)
    share = place - left
    share = share * share * (3 - 2 * share)
    weights = np.zeros((size, cells + 1))
    weights[np.arange(size), left] = 1 - share
    weights[np.arange(size), left + 1] = share
    return weights


def wavy(direction: np.ndarray, stream: np.random.Generator, strength: float, waves: tuple[int, ...]) -> np.ndarray:
    """A factor on a shape's radius that makes it irregular: 1 plus a few waves (ascending) around it, (S, S)."""
    factor = np.ones_like(direction)
    # cos(n * direction + phase) by powers of e^(i * direction): numpy's cos of float64 is slow.
    once = np.cos(direction) + 1j * np.sin(direction)
    power, reached = once, 1
    for wave in waves:
        height, phase = stream.normal(0, strength / wave), stream.uniform(0, 2 * np.pi)
        while reached < wave:
            power, reached = power * once, reached + 1
        factor += height * (np.cos(phase) * power.real - np.sin(phase) * power.imag)
    return factor
