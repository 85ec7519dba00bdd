"""An image as a picture shows it under its map: in its own proportions, with the part that the network saw."""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from wheretolook.data.decode import to_square
from wheretolook.data.square import place

# How much of the paper's white lies over what the network did not see.
FADED = 0.65


@dataclass(frozen=True)
class Photo:
    """What lies under a map.

    Attributes:
        pixels: (H, W, 3) uint8.
        rows, columns: of the pixels, over which the map lies. All others are faded: the network did not see them.
    """

    pixels: np.ndarray
    rows: slice
    columns: slice


def photo_of(image: Image.Image, longest: int, fit: str) -> Photo:
    """An image at the size of a picture.

    Stretched, it keeps its own proportions, and the map is stretched back over it. Cropped, it is whole, and the map
    lies over the square that was cut out. Padded, it stands in its black square, on which a network may rely too.

    Args:
        image: RGB, of any size.
        longest: pixels of the result's longer side.
        fit: how the image becomes a square for the network: "stretch", "pad" or "crop".
    """
    if fit == "pad":
        return Photo(to_square(image, longest, fit), slice(0, longest), slice(0, longest))
    scale = longest / max(image.size)
    width, height = (max(1, round(side * scale)) for side in image.size)
    pixels = np.asarray(image.resize((width, height), Image.Resampling.BILINEAR))
    if fit == "stretch":
        return Photo(pixels, slice(0, height), slice(0, width))
    left, upper, right, lower = (int(edge) for edge in place(width, height, 1, fit).box)
    seen = np.full(pixels.shape[:2], fill_value=False)
    seen[upper:lower, left:right] = True
    faded = np.rint(pixels * (1 - FADED) + 255 * FADED).astype(np.uint8)
    return Photo(np.where(seen[:, :, None], pixels, faded), slice(upper, lower), slice(left, right))
