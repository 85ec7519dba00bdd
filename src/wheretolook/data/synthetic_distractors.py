"""What infected and uninfected cells bear alike, so that a purple pixel alone does not give the class away."""

import numpy as np

from wheretolook.data.canvas import Canvas, wavy
from wheretolook.data.synthetic_stain import CHROMATIN, CYTOPLASM, GREY, PLATELET, SPECK, Outline, absorb


def add_distractors(canvas: Canvas, stream: np.random.Generator, outline: Outline, light: np.ndarray) -> np.ndarray:
    """Add specks, streaks, clouds, bright spots and platelets to `light`, in place.

    Args:
        canvas: the square to draw on.
        stream: all chance comes from here.
        outline: the cell.
        light: (S, S, 3) float64, the cell so far.

    Returns:
        (S, S) float64, the depth of the platelets' outlines, positive inside: they are cut out with the cell.
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
    """Basophilic stippling run together: a wide, weak, blurred purple patch."""
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
    """A platelet that clings to the cell from outside: violet, granular, blurred. Gives its depth, (S, S)."""
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
