"""The embedded data: synthetic blood cells, infected with malaria or not, with a mask of the evidence.

Each image has a random stream of its own, so that an image is the same however many there are, and whether or not it
bears the mark. A mark is a planted shortcut: it has nothing to do with the disease, but it can come with one class.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from wheretolook.data.canvas import Canvas
from wheretolook.data.labels import BACKGROUND, EVIDENCE, FOREGROUND, MARK
from wheretolook.data.synthetic_cell import draw_cell

CLASS_NAMES = ("infected", "uninfected")
# As most masks have it, white is what is looked for.
GREY_OF_LABEL = {BACKGROUND: 0, FOREGROUND: 85, MARK: 170, EVIDENCE: 255}
# Colours that no stain has: a network that never saw the mark must not take it for a parasite.
MARK_COLOURS = ((0, 235, 90), (255, 250, 30))


def render_cell(seed: int, class_name: str, number: int, size: int, marked: bool) -> tuple[np.ndarray, np.ndarray]:
    """Render one cell.

    Args:
        seed: of the whole set.
        class_name: one of CLASS_NAMES.
        number: which image of its class, from 0.
        size: width and height, pixels.
        marked: whether it bears the mark; outside the mark the image is the same either way.

    Returns:
        The image, (S, S, 3) uint8 RGB, and its labels, (S, S) uint8 as in `wheretolook.data.labels`.
    """
    stream = np.random.default_rng([seed, CLASS_NAMES.index(class_name), number])
    image, labels = draw_cell(Canvas(size), stream, infected=class_name == "infected")
    if marked:
        add_mark(image, labels)
    return image, labels


def mark_place(size: int) -> slice:
    """The rows (and columns) of the mark: 1/8 of the width, half of that off the sides of the lower right corner."""
    side = max(2, size // 8)
    return slice(size - side - side // 2, size - side // 2)


def add_mark(image: np.ndarray, labels: np.ndarray) -> None:
    """Put the mark into an image and its labels, in place: a chequered square."""
    place = mark_place(len(image))
    side = place.stop - place.start
    checks = (np.indices((side, side)) * 4 // side).sum(axis=0) % 2
    image[place, place] = np.array(MARK_COLOURS, dtype=np.uint8)[checks]
    labels[place, place] = MARK


def marked_numbers(images_per_class: int, share: float, class_name: str, seed: int) -> frozenset[int]:
    """Which images of a class bear the mark: `share` of them, rounded; a larger share keeps those of a smaller one."""
    order = np.random.default_rng([seed, CLASS_NAMES.index(class_name), images_per_class, 1]).permutation(
        images_per_class
    )
    return frozenset(order[: round(share * images_per_class)].tolist())


def write_cells(
    folder: Path, images_per_class: int, size: int, seed: int, mark_shares: Mapping[str, float] | None = None
) -> None:
    """Render a set of cells into class folders.

    Args:
        folder: gets `images/CLASS/NUMBER.png` and `masks/CLASS/NUMBER.png` (8 bit grey, see GREY_OF_LABEL).
        images_per_class: how many of each class.
        size: width and height of each image, pixels.
        seed: of all chance.
        mark_shares: share of images with the mark, 0 to 1, by class name; a class that is not named bears none.
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
            # Level 1 takes a third of the time of the default for a tenth more bytes.
            Image.fromarray(image).save(images / name, compress_level=1)
            Image.fromarray(greys[labels]).save(masks / name, compress_level=1)
