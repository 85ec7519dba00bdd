"""Soft shapes and smooth noise on a square canvas, from which synthetic cells are drawn.

Lengths and positions are fractions of the canvas width, so that a scene can be drawn at any size: x to the right and y
downwards, both from -0.5 to 0.5, with the centre at (0, 0).

Everything is computed in float64, and only the final image is rounded to 8 bits. exp, cos, arctan2 and matrix products
differ between processors in their last bits: in float32 this changes a pixel in some files, in float64 in none.
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
            angle: rotation of the axes in radians.
            stretch: ratio of length to width of a shape drawn with these distances.
        """
        across, down = self.places[None, :] - x, self.places[:, None] - y
        cosine, sine = np.cos(angle), np.sin(angle)
        u = (across * cosine + down * sine) / np.sqrt(stretch)
        v = (down * cosine - across * sine) * np.sqrt(stretch)
        return np.sqrt(u * u + v * v), np.arctan2(v, u)

    def along(self, turn: float) -> np.ndarray:
        """Coordinate of each pixel along the direction `turn` (radians), (S, S) float64."""
        return self.places[None, :] * np.cos(turn) + self.places[:, None] * np.sin(turn)

    def inside(self, depth: np.ndarray, softness: float = 0.0) -> np.ndarray:
        """Coverage of each pixel by a shape, 0 to 1.

        Args:
            depth: (S, S), distance to the shape's border, positive inside.
            softness: width of the blurred border, in addition to one pixel.
        """
        return np.clip(depth / (softness + 1 / self.size) + 0.5, 0, 1)

    def noise(self, stream: np.random.Generator, cells: int) -> np.ndarray:
        """Smooth noise, (S, S) float64: normal values on a grid of `cells` × `cells`, interpolated smoothly."""
        weights = _weights(self.size, cells)
        return weights @ stream.standard_normal((cells + 1, cells + 1), dtype=np.float32) @ weights.T


@lru_cache(maxsize=32)
def _weights(size: int, cells: int) -> np.ndarray:
    """(S, cells + 1): the weight of each grid point in each pixel, with smoothstep easing to hide the grid."""
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


# Light through the bare smear, and absorbance of red, green and blue at a density of 1 (natural logarithms).
PLASMA = (226, 207, 198)
CHROMATIN = (0.34, 1.60, 0.30)
CYTOPLASM = (0.32, 0.95, 0.24)
PLATELET = (0.55, 0.75, 0.15)
SPECK = (0.75, 1.10, 0.60)
GREY = (1.0, 1.0, 1.0)

# Cell colours of different stains and lighting (salmon, rose, mauve, blue-grey, lilac, tan, magenta), and their shares.
STAINS = (
    (216, 152, 146),
    (207, 138, 143),
    (172, 128, 156),
    (152, 145, 178),
    (180, 170, 190),
    (190, 160, 148),
    (198, 110, 154),
)
STAIN_SHARES = (0.31, 0.21, 0.12, 0.13, 0.09, 0.10, 0.04)


@dataclass(frozen=True)
class Outline:
    """Position and border of a cell, in fractions of the image width."""

    x: float
    y: float
    radius: float
    depth: np.ndarray  # (S, S) float64, distance to the border, positive inside

    def somewhere(self, stream: np.random.Generator, reach: float) -> tuple[float, float]:
        """A random position in the cell, uniform over the disc of `reach` times its radius."""
        turn, distance = stream.uniform(0, 2 * np.pi), self.radius * reach * np.sqrt(stream.random())
        return self.x + distance * np.cos(turn), self.y + distance * np.sin(turn)

    def depth_at(self, x: float, y: float) -> float:
        """Distance of a position to the cell's border, negative outside."""
        size = len(self.depth)
        row, column = (min(max(int((place + 0.5) * size), 0), size - 1) for place in (y, x))
        return float(self.depth[row, column])


def absorb(light: np.ndarray, density: np.ndarray, stain: tuple[float, float, float]) -> None:
    """Apply the absorption of a stain to `light`, in place.

    Args:
        light: (S, S, 3) float64, intensities.
        density: (S, S) float64; negative values brighten.
        stain: absorbance of red, green and blue at a density of 1.
    """
    touched = density != 0
    light[touched] *= np.exp(-density[touched][:, None] * np.array(stain))


def add_distractors(canvas: Canvas, stream: np.random.Generator, outline: Outline, light: np.ndarray) -> np.ndarray:
    """Add specks, streaks, clouds, bright spots and platelets to `light`, in place.

    Args:
        canvas: the square to draw on.
        stream: source of all randomness.
        outline: the cell.
        light: (S, S, 3) float64, the cell so far.

    Returns:
        (S, S) float64, distance to the border of the platelets, positive inside; they are not cut off.
    """
    for _ in range(stream.poisson(1.2)):
        _add_speck(canvas, stream, outline, light)
    if stream.random() < 0.25:
        _add_streak(canvas, stream, outline, light)
    if stream.random() < 0.25:
        _add_cloud(canvas, stream, outline, light)
    for _ in range(stream.poisson(0.4)):
        _add_bright_spot(canvas, stream, outline, light)
    if stream.random() < 0.35:
        return _add_platelet(canvas, stream, outline, light)
    return np.full((canvas.size, canvas.size), -1.0)


def _add_speck(canvas: Canvas, stream: np.random.Generator, outline: Outline, light: np.ndarray) -> None:
    """Stain precipitate: a dark dot far smaller than a parasite."""
    distance, _ = canvas.polar(*outline.somewhere(stream, 0.97), stream.uniform(0, np.pi), stream.uniform(1, 1.8))
    dot = canvas.inside(stream.uniform(0.006, 0.013) - distance, softness=0.008)
    absorb(light, stream.uniform(0.3, 0.9) * dot, SPECK if stream.random() < 0.6 else CHROMATIN)


def _add_streak(canvas: Canvas, stream: np.random.Generator, outline: Outline, light: np.ndarray) -> None:
    """A faint purple thread or scratch."""
    distance, _ = canvas.polar(*outline.somewhere(stream, 0.7), stream.uniform(0, np.pi), stream.uniform(12, 25))
    thread = canvas.inside(stream.uniform(0.02, 0.03) - distance, softness=0.02)
    absorb(light, stream.uniform(0.2, 0.5) * thread, CYTOPLASM)


def _add_cloud(canvas: Canvas, stream: np.random.Generator, outline: Outline, light: np.ndarray) -> None:
    """Confluent basophilic stippling: a wide, faint, blurred purple patch."""
    distance, direction = canvas.polar(*outline.somewhere(stream, 0.6))
    radius = stream.uniform(0.09, 0.16) * wavy(direction, stream, 0.2, (2, 3))
    patch = canvas.inside(radius - distance, softness=0.12) * (outline.depth > 0)
    absorb(light, stream.uniform(0.08, 0.2) * patch, CYTOPLASM)


def _add_bright_spot(canvas: Canvas, stream: np.random.Generator, outline: Outline, light: np.ndarray) -> None:
    """A drying artefact: a refractile point, bright with a darker border."""
    distance, _ = canvas.polar(*outline.somewhere(stream, 0.85), stream.uniform(0, np.pi), stream.uniform(1, 1.4))
    radius = stream.uniform(0.015, 0.03)
    spot = canvas.inside(radius - distance, softness=0.012)
    border = canvas.inside(radius * 1.5 - distance, softness=0.02) - spot
    absorb(light, 0.14 * border - stream.uniform(0.15, 0.35) * spot, GREY)


def _add_platelet(canvas: Canvas, stream: np.random.Generator, outline: Outline, light: np.ndarray) -> np.ndarray:
    """A platelet attached to the outside of the cell: violet, granular, blurred. Returns its depth, (S, S)."""
    turn = stream.uniform(0, 2 * np.pi)
    across, down = np.cos(turn), np.sin(turn)
    ray = np.linspace(0, 0.6, 121)
    columns = np.clip(((outline.x + ray * across + 0.5) * canvas.size).astype(int), 0, canvas.size - 1)
    rows = np.clip(((outline.y + ray * down + 0.5) * canvas.size).astype(int), 0, canvas.size - 1)
    rim = ray[np.argmax(outline.depth[rows, columns] <= 0)]
    radius = stream.uniform(0.045, 0.065)
    away = rim + radius * 0.6
    distance, direction = canvas.polar(outline.x + away * across, outline.y + away * down, turn, stream.uniform(0.7, 1))
    depth = radius * wavy(direction, stream, 0.15, (2, 3, 5)) - distance
    grain = np.clip(1 + 0.3 * canvas.noise(stream, 36), 0.3, 1.8)
    body = canvas.inside(depth, softness=0.035)
    absorb(light, stream.uniform(0.5, 0.8) * body * grain, PLATELET)
    return depth
