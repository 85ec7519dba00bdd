"""The source `synthetic`: stained red blood cells with or without parasites, cropped as in the NIH malaria set."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from wheretolook.base.prepared import BACKGROUND, EVIDENCE, FOREGROUND, MARK
from wheretolook.sources.synthetic_drawing import (
    CHROMATIN,
    CYTOPLASM,
    PLASMA,
    STAIN_SHARES,
    STAINS,
    Canvas,
    Outline,
    absorb,
    add_distractors,
    wavy,
)


def draw_cell(canvas: Canvas, stream: np.random.Generator, infected: bool) -> tuple[np.ndarray, np.ndarray]:
    """Draw one cell.

    Args:
        canvas: the square to draw on.
        stream: source of all randomness.
        infected: whether it contains parasites; everything else has the same distribution in both classes.

    Returns:
        The image, (S, S, 3) uint8 RGB, and its labels, (S, S) uint8: BACKGROUND, FOREGROUND and EVIDENCE.
    """
    outline = _outline(canvas, stream)
    light = _bare_cell(canvas, stream, outline)
    platelets = add_distractors(canvas, stream, outline, light)
    evidence = np.zeros((canvas.size, canvas.size), dtype=bool)
    if infected:
        for x, y, radius in _parasite_places(stream, outline):
            evidence |= _add_parasite(canvas, stream, light, x, y, radius)
    image = _photograph(canvas, stream, light, np.maximum(outline.depth, platelets))
    labels = np.where(outline.depth > 0, FOREGROUND, BACKGROUND).astype(np.uint8)
    labels[evidence & (outline.depth > 0)] = EVIDENCE
    return image, labels


def _outline(canvas: Canvas, stream: np.random.Generator) -> Outline:
    """A round to oval border, smooth or ragged, sometimes flattened by a neighbouring cell."""
    x, y = stream.uniform(-0.015, 0.015, 2)
    radius = stream.uniform(0.42, 0.47)
    distance, direction = canvas.polar(x, y, stream.uniform(0, np.pi), stream.uniform(1.0, 1.16))
    waves = (2, 3, 4, 5, 7, 11) if stream.random() < 0.8 else (2, 3, 4, 5, 7, 11, 16, 23)
    depth = radius * wavy(direction, stream, stream.uniform(0.02, 0.07), waves) - distance
    if stream.random() < 0.3:
        turn = stream.uniform(0, 2 * np.pi)
        depth = np.minimum(depth, radius * stream.uniform(0.75, 0.92) - canvas.along(turn))
    return Outline(float(x), float(y), float(radius), depth)


def _bare_cell(canvas: Canvas, stream: np.random.Generator, outline: Outline) -> np.ndarray:
    """The cell's own colour on the smear, (S, S, 3) float64: uneven, often pale in the middle, toned at the rim."""
    stain = np.array(STAINS[stream.choice(len(STAINS), p=STAIN_SHARES)]) + stream.normal(0, 7) + stream.normal(0, 3, 3)
    absorbed = np.log(np.array(PLASMA) / stain)
    distance, direction = canvas.polar(*stream.normal((outline.x, outline.y), 0.03))
    pallor_radius = stream.uniform(0.08, 0.24) * wavy(direction, stream, 0.1, (2, 3))
    pallor = canvas.inside(pallor_radius - distance, softness=stream.uniform(0.06, 0.3))
    thickness = 1 + 0.05 * canvas.noise(stream, 5) + 0.04 * canvas.noise(stream, 18)
    thickness -= 0.8 * stream.beta(1.0, 2.5) * pallor
    thickness += stream.uniform(-0.15, 0.25) * np.exp(-np.abs(outline.depth) / 0.05)
    thickness *= canvas.inside(outline.depth - 0.006, softness=0.018)
    return np.array(PLASMA) * np.exp(-thickness[..., None] * absorbed)


def _parasite_places(stream: np.random.Generator, outline: Outline) -> list[tuple[float, float, float]]:
    """Positions and radii of the parasites (x, y, radius): usually one, at most three, without overlap."""
    count = stream.choice((1, 2, 3), p=(0.7, 0.22, 0.08))
    places: list[tuple[float, float, float]] = []
    for _ in range(30):
        radius = stream.uniform(0.07, 0.088) if count == 1 else stream.uniform(0.055, 0.068)
        x, y = outline.somewhere(stream, 0.82)
        separate = all(
            np.hypot(x - other_x, y - other_y) > 1.3 * (radius + other) for other_x, other_y, other in places
        )
        if separate and outline.depth_at(x, y) > 0.6 * radius:
            places.append((x, y, radius))
        if len(places) == count:
            break
    return places


def _add_parasite(
    canvas: Canvas, stream: np.random.Generator, light: np.ndarray, x: float, y: float, radius: float
) -> np.ndarray:
    """Add a parasite to `light`, in place: a ring with a chromatin dot (young), or a compact body (grown).

    Returns:
        (S, S) bool, the parasite with what it encloses.
    """
    distance, direction = canvas.polar(x, y, stream.uniform(0, np.pi), stream.uniform(1.0, 1.35))
    depth = radius * wavy(direction, stream, 0.12, (2, 3, 4)) - distance
    if stream.random() < 0.65:
        thickness = radius * stream.uniform(0.32, 0.45)
        ring = canvas.inside(depth, 0.014) - canvas.inside(depth - thickness, 0.014)
        uneven = 1 + 0.35 * np.cos(direction - stream.uniform(0, 2 * np.pi))
        absorb(light, stream.uniform(0.55, 0.95) * ring * uneven, CYTOPLASM)
    else:
        mottled = np.clip(1 + 0.3 * canvas.noise(stream, 20), 0.4, 1.7)
        absorb(light, stream.uniform(0.45, 0.85) * canvas.inside(depth, 0.025) * mottled, CYTOPLASM)
    for _ in range(stream.choice((1, 2), p=(0.75, 0.25))):
        turn, out = stream.uniform(0, 2 * np.pi), radius * 0.72
        dot, _ = canvas.polar(x + out * np.cos(turn), y + out * np.sin(turn), turn, stream.uniform(0.6, 1.0))
        nucleus = canvas.inside(radius * stream.uniform(0.32, 0.42) - dot, 0.014) * (depth > 0)
        absorb(light, stream.uniform(0.6, 1.0) * nucleus, CHROMATIN)
    return depth > 0


def _photograph(canvas: Canvas, stream: np.random.Generator, light: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """Add uneven light and camera noise, and set everything outside of `depth` to black: (S, S, 3) uint8."""
    slope = stream.uniform(0, 0.12) * canvas.along(stream.uniform(0, 2 * np.pi))
    light *= (stream.uniform(0.94, 1.05) * (1 + slope))[..., None]
    # Drawn in float32 for speed; everything else is computed in float64.
    light += 1.5 * stream.standard_normal(light.shape, dtype=np.float32)
    # The NIH cells have a ragged margin of a pixel or two of the smear.
    margin = 0.004 + 0.006 * canvas.noise(stream, 28)
    light *= (depth > -margin)[..., None]
    return np.clip(np.rint(light), 0, 255).astype(np.uint8)


CLASS_NAMES = ("infected", "uninfected")
# As in most masks, white marks the evidence.
GREY_OF_LABEL = {BACKGROUND: 0, FOREGROUND: 85, MARK: 170, EVIDENCE: 255}
# Colours that do not occur in stains, so that a network trained without the mark does not mistake it for a parasite.
MARK_COLOURS = ((0, 235, 90), (255, 250, 30))


def render_cell(seed: int, class_name: str, number: int, size: int, marked: bool) -> tuple[np.ndarray, np.ndarray]:
    """Render one cell.

    Args:
        seed: random seed of the data set.
        class_name: one of CLASS_NAMES.
        number: index of the image in its class, from 0.
        size: width and height, pixels.
        marked: whether to add the mark; it changes no pixel outside of itself.

    Returns:
        The image, (S, S, 3) uint8 RGB, and its labels, (S, S) uint8 as in `wheretolook.base.prepared`.
    """
    stream = np.random.default_rng([seed, CLASS_NAMES.index(class_name), number])
    image, labels = draw_cell(Canvas(size), stream, infected=class_name == "infected")
    if marked:
        add_mark(image, labels)
    return image, labels


def mark_place(size: int) -> slice:
    """Rows (and columns) of the mark: 1/8 of the width, at half that distance from the lower right corner."""
    side = max(2, size // 8)
    return slice(size - side - side // 2, size - side // 2)


def add_mark(image: np.ndarray, labels: np.ndarray) -> None:
    """Draw the mark, a chequered square, into an image and its labels, in place."""
    place = mark_place(len(image))
    side = place.stop - place.start
    checks = (np.indices((side, side)) * 4 // side).sum(axis=0) % 2
    image[place, place] = np.array(MARK_COLOURS, dtype=np.uint8)[checks]
    labels[place, place] = MARK


def marked_numbers(images_per_class: int, share: float, class_name: str, seed: int) -> frozenset[int]:
    """Indices of the images of a class with the mark. A larger share includes the images of a smaller one."""
    order = np.random.default_rng([seed, CLASS_NAMES.index(class_name), images_per_class, 1]).permutation(
        images_per_class
    )
    return frozenset(order[: round(share * images_per_class)].tolist())


def write_cells(
    folder: Path, images_per_class: int, size: int, seed: int, mark_shares: Mapping[str, float] | None = None
) -> None:
    """Render a data set of cells into class folders.

    Args:
        folder: `images/CLASS/NUMBER.png` and `masks/CLASS/NUMBER.png` (8-bit grey, GREY_OF_LABEL) are written to it.
        images_per_class: number of images of each class.
        size: width and height of each image, pixels.
        seed: random seed.
        mark_shares: class name to share of images with the mark, 0 to 1; 0 for classes that are not listed.
    """
    greys = np.zeros(256, dtype=np.uint8)
    greys[list(GREY_OF_LABEL)] = list(GREY_OF_LABEL.values())
    for class_name in CLASS_NAMES:
        images, masks = folder / "images" / class_name, folder / "masks" / class_name
        images.mkdir(parents=True)
        masks.mkdir(parents=True)
        marked = marked_numbers(images_per_class, (mark_shares or {}).get(class_name, 0.0), class_name, seed)
        for number in range(images_per_class):
            image, labels = render_cell(seed, class_name, number, size, number in marked)
            name = f"{number:04d}.png"
            # Level 1 takes a third of the default's time, and a tenth more space.
            Image.fromarray(image).save(images / name, compress_level=1)
            Image.fromarray(greys[labels]).save(masks / name, compress_level=1)
