"""Image files of many kinds, decoded to RGB as they are shown, or refused. Colour profiles are not applied."""

import struct
import zlib
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageOps

from wheretolook.data.refusal import Refusal
from wheretolook.data.square import place

# Only raster formats whose decoders are part of Pillow: never one that starts another program (EPS).
FORMATS = ("JPEG", "PNG", "BMP", "TIFF", "WEBP", "GIF")
SUFFIXES = frozenset({".jpg", ".jpeg", ".jfif", ".png", ".bmp", ".tif", ".tiff", ".webp", ".gif"})

# A small file can hold a picture that fills the memory (a decompression bomb): 50 million RGB pixels are 150 MB.
MOST_PIXELS = 50_000_000

DIRECT_MODES = frozenset({"1", "L", "P", "RGB", "RGBX", "CMYK", "YCbCr"})
ALPHA_MODES = frozenset({"LA", "PA", "RGBA", "La", "RGBa"})
DEEP_GREY_MODES = frozenset({"I;16", "I;16L", "I;16B", "I;16N", "I"})

# The key in an image's `info` of the largest value of 16-bit grey that it was made from.
DEEPEST = "largest of 16 bits"

# What Pillow's decoders let through when a file is damaged. The warnings are errors only where a caller made them so.
# No MemoryError: on a machine that is busy, it would make good images bad ones.
DECODER_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    LookupError,
    TypeError,
    AttributeError,
    ArithmeticError,
    RuntimeError,
    struct.error,
    zlib.error,
    Warning,
)


def decode_image(path: Path | BinaryIO) -> Image.Image:
    """Decode an image file to RGB.

    The content decides on the format, not the name. The first frame of an animation is taken, EXIF orientation is
    applied, transparent pixels are laid on white, 16-bit grey is scaled by its full range (65,535 becomes 255, whatever
    the image's own brightest), CMYK is converted. A file that lost its end mark alone, and no pixel, is read.

    Args:
        path: a file, or an open binary file.

    Returns:
        An RGB image.

    Raises:
        Refusal: no image, cut off or damaged, of a kind that is not read, or larger than MOST_PIXELS.
        MemoryError: no room for its pixels, which says nothing of the file.
    """
    if not isinstance(path, Path):
        return _decode(path)
    with path.open("rb") as file:
        try:
            return _decode(file)
        except Refusal as refusal:
            raise Refusal(f"{path}: {refusal}") from refusal


def decode_bytes(content: bytes) -> Image.Image:
    """As `decode_image`, for the bytes of a file."""
    return _decode(BytesIO(content))


def to_square(image: Image.Image, size: int, fit: str) -> np.ndarray:
    """Resize an RGB image to a square.

    Args:
        image: RGB.
        size: width and height of the result, pixels.
        fit: "stretch" fills the square and changes the proportions, "pad" keeps the whole image and adds black
            borders, "crop" cuts the longer side's ends off.

    Returns:
        (S, S, 3) uint8; an image that has this size already is not touched.
    """
    placed = place(image.width, image.height, size, fit)
    square = np.zeros((size, size, 3), dtype=np.uint8)
    resized = image.resize(placed.size, Image.Resampling.BILINEAR, box=placed.box)
    square[placed.rows, placed.columns] = np.asarray(resized)
    return square


def _decode(file: BinaryIO) -> Image.Image:
    """Decode, or raise a refusal that does not know the file's name yet."""
    try:
        image = Image.open(file, formats=FORMATS)
        if image.width * image.height > MOST_PIXELS:
            raise _too_large(f"{image.width} × {image.height} pixels")
        image.load()
        return _to_rgb(_upright(image))
    except Image.UnidentifiedImageError:
        raise Refusal(f"no image; expected {', '.join(FORMATS)}") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise _too_large("many more") from None
    except DECODER_ERRORS as error:
        refuse_no_memory(error)
        raise Refusal(f"cut off or damaged ({_in_words(error)})") from error


def refuse_no_memory(error: Exception) -> None:
    """Tell a full memory, for which Pillow has an OSError, from a damaged image.

    Raises:
        MemoryError: it is one.
    """
    if "out of memory" in str(error):
        raise MemoryError(str(error)) from error


def _too_large(found: str) -> Refusal:
    return Refusal(
        f"too large; expected at most {MOST_PIXELS:,} pixels, found {found}; shrink it, or cut it into tiles"
    )


def _upright(image: Image.Image) -> Image.Image:
    """Apply the EXIF orientation; where the metadata are damaged, the pixels stand as they are stored."""
    try:
        return ImageOps.exif_transpose(image)
    except DECODER_ERRORS:
        return image


def _to_rgb(image: Image.Image) -> Image.Image:
    """Convert to RGB from any mode that is read."""
    if image.mode in DEEP_GREY_MODES:
        return _deep_grey_to_rgb(image)
    if image.mode in ALPHA_MODES or "transparency" in image.info:
        clear = image.convert("LA").convert("RGBA") if image.mode == "La" else image.convert("RGBA")
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, clear).convert("RGB")
    if image.mode in DIRECT_MODES:
        return image.convert("RGB")
    raise Refusal(f"pixels of the kind {image.mode!r}; expected grey, colour, palette or CMYK of 8 bits, or grey of 16")


def _deep_grey_to_rgb(image: Image.Image) -> Image.Image:
    """16-bit grey, scaled by its full range: Pillow's own conversion would clip everything above 255 to white."""
    deep = np.asarray(image)
    if deep.min() < 0 or deep.max() > 65535:
        raise Refusal(f"grey values from {deep.min()} to {deep.max()}; expected 0 to 65535")
    largest = int(deep.max())
    deep = deep.astype(np.uint16, copy=False)
    # Divided by 257 and rounded, in two bytes a pixel.
    shown = Image.fromarray((deep // 257 + (deep % 257 > 128)).astype(np.uint8)).convert("RGB")
    shown.info[DEEPEST] = largest
    return shown


def _in_words(error: BaseException) -> str:
    """An error of a decoder in one line."""
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
