"""One map drawn over its image, with Pillow: for the console, where matplotlib would take longer than the network."""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from wheretolook.analysis.maps.enlarge import enlarge
from wheretolook.data.atomic import replacing
from wheretolook.look.photo import Photo
from wheretolook.report.colours import colour, opacity

SIDE = 448
STRONGEST = 0.8
PAPER, INK, SOFT = "#ffffff", "#1d1b19", "#5f5a54"


@dataclass(frozen=True)
class Overlay:
    """What one picture shows.

    Attributes:
        stem: file name without a suffix.
        photo: what the map is drawn over.
        values: (h, w) float32, the raw map.
        title: class, score, method and layer, in words.
        units: of the map.
        knows_class: whether the map is of a class, and its sign for or against it.
    """

    stem: str
    photo: Photo
    values: np.ndarray
    title: str
    units: str
    knows_class: bool = True


def write_overlay(folder: Path, overlay: Overlay) -> tuple[str, str]:
    """Write the picture as PNG and the raw map as `.npy`, each whole or not at all; gives the two files' names."""
    picture, values = f"{overlay.stem}.png", f"{overlay.stem}.npy"
    with replacing(folder / picture, sweep=False) as scratch:
        # Pillow's own level takes more than twice the time, which is most of what a picture costs, for 7 % of the size.
        draw_overlay(overlay).save(scratch, format="PNG", compress_level=4)
    with replacing(folder / values, sweep=False) as scratch, scratch.open("wb") as file:
        np.save(file, overlay.values)
    return picture, values


def draw_overlay(overlay: Overlay) -> Image.Image:
    """The image with its map over it, red above zero and blue below, under a title: RGB, SIDE pixels wide or more.

    Where the map knows a class, red speaks for it and blue against. Full colour stands at the largest absolute value of
    this map, which the line below the title names.
    """
    limit = float(np.abs(overlay.values).max()) or 1.0
    pixels, seen = overlay.photo.pixels.copy(), (overlay.photo.rows, overlay.photo.columns)
    under = pixels[seen]
    unit = enlarge(overlay.values[None] / limit, under.shape[:2])[0]
    share = STRONGEST * opacity(unit)[:, :, None]
    pixels[seen] = np.rint(under * (1 - share) + colour(unit, signed=True) * share)
    height, width = pixels.shape[:2]
    # A title is as wide as it would be over a square, whatever the photo's proportions.
    across = max(SIDE, width)
    signs = "red for, blue against" if overlay.knows_class else "red above zero, blue below"
    lines = ((overlay.title, 16, INK), (f"{signs}; full at {limit:.3g} {overlay.units}", 12, SOFT))
    page = Image.new("RGB", (across, height + 54), PAPER)
    page.paste(Image.fromarray(pixels), ((across - width) // 2, 54))
    pen = ImageDraw.Draw(page)
    for (text, points, ink), top in zip(lines, (6, 31), strict=True):
        pen.text((8, top), text, fill=ink, font=_fitting(text, points, across - 16))
    return page


def _fitting(text: str, points: int, width: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """A font at `points`, or as much smaller as the text needs to fit."""
    length = _font(points).getlength(text)
    return _font(points if length <= width else max(6, int(points * width / length)))


def _font(points: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """The font of the figures, which has Greek and Cyrillic too, found without importing matplotlib; else Pillow's."""
    found = find_spec("matplotlib")
    path = Path(found.origin).parent / "mpl-data/fonts/ttf/DejaVuSans.ttf" if found and found.origin else None
    return ImageFont.truetype(path, points) if path and path.is_file() else ImageFont.load_default(points)
