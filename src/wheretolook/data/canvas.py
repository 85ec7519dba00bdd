"""Soft shapes and smooth noise on a square canvas, from which synthetic cells are drawn.

Lengths and places are shares of the canvas' width, so that one scene can be drawn at any size: x to the right and y
downwards, both from -0.5 to 0.5, with the centre at (0, 0).
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
        """(S,) float32, the pixel centres along one axis."""
        return ((np.arange(self.size, dtype=np.float32) + 0.5) / self.size - 0.5).astype(np.float32)

    def polar(self, x: float, y: float, angle: float = 0.0, stretch: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
        """Distance from (x, y) and direction seen from there, (S, S) float32 each.

        Args:
            x, y: the origin.
            angle: radians by which the axes are turned.
            stretch: a shape drawn with these distances is longer than wide by this factor.
        """
        across, down = self.places[None, :] - np.float32(x), self.places[:, None] - np.float32(y)
        cosine, sine = np.float32(np.cos(angle)), np.float32(np.sin(angle))
        u = (across * cosine + down * sine) / np.float32(np.sqrt(stretch))
        v = (down * cosine - across * sine) * np.float32(np.sqrt(stretch))
        return np.hypot(u, v), np.arctan2(v, u)

    def along(self, turn: float) -> np.ndarray:
        """How far each pixel lies from the centre in the direction `turn` (radians), (S, S) float32."""
        return self.places[None, :] * np.float32(np.cos(turn)) + self.places[:, None] * np.float32(np.sin(turn))

    def inside(self, depth: np.ndarray, softness: float = 0.0) -> np.ndarray:
        """How far a pixel belongs to a shape, 0 to 1.

        Args:
            depth: (S, S), distance to the shape's border, positive inside.
            softness: width of the blurred border beside that of one pixel.
        """
        return np.clip(depth / np.float32(softness + 1 / self.size) + np.float32(0.5), 0, 1)

    def noise(self, stream: np.random.Generator, cells: int) -> np.ndarray:
        """Smooth noise, (S, S) float32: normal values on a grid of `cells` × `cells`, joined smoothly."""
        weights = _weights(self.size, cells)
        return weights @ stream.standard_normal((cells + 1, cells + 1), dtype=np.float32) @ weights.T


@lru_cache(maxsize=32)
def _weights(size: int, cells: int) -> np.ndarray:
    """(S, cells + 1): the share of each grid point in each pixel, eased so that no grid line shows."""
    place = (np.arange(size) + 0.5) / size * cells
    left = np.floor(place).astype(int)
    share = place - left
    share = share * share * (3 - 2 * share)
    weights = np.zeros((size, cells + 1), dtype=np.float32)
    weights[np.arange(size), left] = 1 - share
    weights[np.arange(size), left + 1] = share
    return weights


def wavy(direction: np.ndarray, stream: np.random.Generator, strength: float, waves: tuple[int, ...]) -> np.ndarray:
    """A factor on a shape's radius that makes it irregular: 1 plus a few waves around it, (S, S) float32."""
    factor = np.ones_like(direction)
    for wave in waves:
        height = np.float32(stream.normal(0, strength / wave))
        factor += height * np.cos(np.float32(wave) * direction + np.float32(stream.uniform(0, 2 * np.pi)))
    return factor
