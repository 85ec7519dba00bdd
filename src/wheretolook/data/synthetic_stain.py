"""The colours of synthetic blood cells, and where a cell lies.

The light that reaches the camera is what stains let through (Beer and Lambert: intensity × exp(-density)), so a
parasite is dark purple in a pink cell as well as in a blue one.
"""

from dataclasses import dataclass

import numpy as np

# Light through the bare smear, and what a density of 1 takes of red, green and blue (natural logarithms).
PLASMA = (226, 207, 198)
CHROMATIN = (0.34, 1.60, 0.30)
CYTOPLASM = (0.32, 0.95, 0.24)
PLATELET = (0.55, 0.75, 0.15)
SPECK = (0.75, 1.10, 0.60)
GREY = (1.0, 1.0, 1.0)

# Cells of smears stained and lit differently: salmon, rose, mauve, blue-grey, lilac, tan, magenta; how many.
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
    """Where a cell lies, in shares of the image's width."""

    x: float
    y: float
    radius: float
    depth: np.ndarray  # (S, S) float64, distance to the border, positive inside

    def somewhere(self, stream: np.random.Generator, reach: float) -> tuple[float, float]:
        """A place in the cell, evenly over its area up to the share `reach` of its radius."""
        turn, distance = stream.uniform(0, 2 * np.pi), self.radius * reach * np.sqrt(stream.random())
        return self.x + distance * np.cos(turn), self.y + distance * np.sin(turn)

    def depth_at(self, x: float, y: float) -> float:
        """How deep in the cell a place lies, negative outside."""
        size = len(self.depth)
        row, column = (min(max(int((place + 0.5) * size), 0), size - 1) for place in (y, x))
        return float(self.depth[row, column])


def absorb(light: np.ndarray, density: np.ndarray, stain: tuple[float, float, float]) -> None:
    """Let a stain take its part of the light, in place.

    Args:
        light: (S, S, 3) float64, intensities.
        density: (S, S) float64; negative where it brightens.
        stain: what a density of 1 takes of red, green and blue.
    """
    touched = density != 0
    light[touched] *= np.exp(-density[touched][:, None] * np.array(stain))
