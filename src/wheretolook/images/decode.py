"""Image files of many kinds, decoded to RGB as they are shown, or refused. Colour profiles are not applied."""

import struct
import zlib
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import ExifTags, Image

from wheretolook.base.errors import InputError
from wheretolook.dataset.prepared import Placement, place
from wheretolook.images.decode_cost import (
    TimedBytes,
    TimedFile,
    check_before_opening,
    check_cost,
    honest_exif,
    too_large,
)

# Only raster formats whose decoders are part of Pillow: never one that starts another program (EPS).
FORMATS = ("JPEG", "PNG", "BMP", "TIFF", "WEBP", "GIF")
SUFFIXES = frozenset({".jpg", ".jpeg", ".jfif", ".png", ".bmp", ".tif", ".tiff", ".webp", ".gif"})

# Above so many pixels, an image is converted in strips, so that no more than two copies of it are there at a time.
LARGE, STRIP = 4_000_000, 1_000_000

DIRECT_MODES = frozenset({"1", "L", "P", "RGB", "RGBX", "CMYK", "YCbCr"})
ALPHA_MODES = frozenset({"LA", "PA", "RGBA", "La", "RGBa"})
DEEP_GREY_MODES = frozenset({"I;16", "I;16L", "I;16B", "I;16N", "I"})

# The key in an image's `info` of the largest value of 16-bit grey that it was made from.
DEEPEST = "largest of 16 bits"

# A file of more bytes is decoded from the disk, not from memory.
LARGEST_READ = 16 << 20
# Bytes that an image may take at its new width and its old height.
MOST_BETWEEN = 128 << 20

ORIENTATIONS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

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
        InputError: no image, cut off or damaged, of a kind that is not read, or too costly (`decode_cost`).
        MemoryError: no room for its pixels, which says nothing of the file.
    """
    if not isinstance(path, Path):
        return decode_bytes(path.read())
    try:
        with opened(path) as file:
            return decode_file(file)
    except InputError as refusal:
        raise InputError(f"{path}: {refusal.subject}", refusal.expected, refusal.found, refusal.hint) from refusal


def decode_bytes(content: bytes) -> Image.Image:
    """As `decode_image`, for the bytes of a file."""
    return decode_file(TimedBytes(content))


def opened(path: Path) -> TimedFile:
    """An image file, open for decoding."""
    return TimedFile(path.open("rb", buffering=0))


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
    resized = resize(image, placed, Image.Resampling.BILINEAR)
    square[placed.rows, placed.columns] = np.asarray(resized)
    return square


def resize(image: Image.Image, placed: Placement, method: Image.Resampling) -> Image.Image:
    """Resize a box of an image.

    Pillow keeps the image at its new width and its old height for a while, which for a very tall image is far more than
    either: then it is done column by column.
    """
    left, upper, right, lower = placed.box
    width, height = placed.size
    columns = max(1, int(MOST_BETWEEN // (4 * (lower - upper))))
    if columns >= width:
        return image.resize(placed.size, method, box=placed.box)
    resized = Image.new(image.mode, placed.size)
    scale = (right - left) / width
    for begin in range(0, width, columns):
        end = min(begin + columns, width)
        box = (left + begin * scale, upper, left + end * scale, lower)
        resized.paste(image.resize((end - begin, height), method, box=box), (begin, 0))
    return resized


def open_bounded(file: TimedBytes | TimedFile) -> Image.Image:
    """Open an image and read its pixels, unless they would cost too much memory or time.

    Raises:
        InputError: they would, or they did.
        UnidentifiedImageError, or one of DECODER_ERRORS: no image, or a damaged one.
    """
    file.start()
    check_before_opening(file)
    image = Image.open(file, formats=FORMATS)
    check_cost(image, file)
    image.load()
    return image


def decode_file(file: TimedBytes | TimedFile) -> Image.Image:
    """As `decode_image`, for an open file; errors do not name it."""
    try:
        image = open_bounded(file)
        return _large_to_rgb(image) if image.width * image.height > LARGE else _to_rgb(_upright(image))
    except Image.UnidentifiedImageError:
        raise InputError("no image", hint=f"expected {', '.join(FORMATS)}") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise too_large("many more") from None
    except DECODER_ERRORS as error:
        refuse_no_memory(error)
        raise InputError(f"cut off or damaged ({_in_words(error)})") from error


def refuse_no_memory(error: Exception) -> None:
    """Tell a full memory, for which Pillow has an OSError, from a damaged image.

    Raises:
        MemoryError: it is one.
    """
    if "out of memory" in str(error):
        raise MemoryError(str(error)) from error


def _upright(image: Image.Image) -> Image.Image:
    """Apply the EXIF orientation."""
    turn = _turn(image)
    return image if turn is None else image.transpose(turn)


def _turn(image: Image.Image) -> Image.Transpose | None:
    """What the EXIF orientation asks for; None where the metadata are damaged: the pixels stay as they are stored."""
    try:
        if image.format != "TIFF" and not honest_exif(image.info.get("exif", b"")):
            return None
        return ORIENTATIONS.get(image.getexif().get(ExifTags.Base.Orientation, 1))
    except DECODER_ERRORS:
        return None


def _large_to_rgb(image: Image.Image) -> Image.Image:
    """As `_to_rgb(_upright(image))`, in strips; the image itself is closed."""
    turn = _turn(image)
    if turn is None and image.mode == "RGB" and "transparency" not in image.info:
        return image
    size, deepest = image.size, 0
    pixels = np.empty((image.height, image.width, 3), dtype=np.uint8)
    for rows in strips(image.height, image.width):
        strip = _to_rgb(image.crop((0, rows.start, image.width, rows.stop)))
        deepest = max(deepest, strip.info.get(DEEPEST, 0))
        pixels[rows] = np.asarray(strip)
    image.close()
    turned = pixels if turn is None else _turned(pixels, turn)
    whole = Image.new("RGB", size if turned.shape[:2] == pixels.shape[:2] else size[::-1])
    for rows in strips(whole.height, whole.width):
        whole.paste(Image.fromarray(np.ascontiguousarray(turned[rows])), (0, rows.start))
    if deepest:
        whole.info[DEEPEST] = deepest
    return whole


def strips(height: int, width: int) -> list[slice]:
    """Rows of a large image, some at a time."""
    step = max(1, STRIP // width)
    return [slice(start, min(start + step, height)) for start in range(0, height, step)]


def _turned(pixels: np.ndarray, turn: Image.Transpose) -> np.ndarray:
    """(H, W, 3), transposed as Pillow does; a view."""
    across = pixels.swapaxes(0, 1)
    return {
        Image.Transpose.FLIP_LEFT_RIGHT: pixels[:, ::-1],
        Image.Transpose.ROTATE_180: pixels[::-1, ::-1],
        Image.Transpose.FLIP_TOP_BOTTOM: pixels[::-1],
        Image.Transpose.TRANSPOSE: across,
        Image.Transpose.ROTATE_270: across[:, ::-1],
        Image.Transpose.TRANSVERSE: across[::-1, ::-1],
        Image.Transpose.ROTATE_90: across[::-1],
    }[turn]


def _to_rgb(image: Image.Image) -> Image.Image:
    """Convert to RGB from any mode that is read."""
    if image.mode in DEEP_GREY_MODES:
        return _deep_grey_to_rgb(image)
    if image.mode in ALPHA_MODES or "transparency" in image.info:
        clear = image.convert("LA").convert("RGBA") if image.mode == "La" else image.convert("RGBA")
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, clear).convert("RGB")
    if image.mode == "RGB":
        return image
    if image.mode in DIRECT_MODES:
        return image.convert("RGB")
    raise InputError(
        f"pixels of the kind {image.mode!r}", hint="expected grey, colour, palette or CMYK of 8 bits, or grey of 16"
    )


def _deep_grey_to_rgb(image: Image.Image) -> Image.Image:
    """16-bit grey, scaled by its full range: Pillow's own conversion would clip everything above 255 to white."""
    deep = np.asarray(image)
    if deep.min() < 0 or deep.max() > 65535:
        raise InputError(f"grey values from {deep.min()} to {deep.max()}", hint="expected 0 to 65535")
    largest = int(deep.max())
    deep = deep.astype(np.uint16, copy=False)
    # Divided by 257 and rounded, in two bytes a pixel.
    shown = Image.fromarray((deep // 257 + (deep % 257 > 128)).astype(np.uint8)).convert("RGB")
    shown.info[DEEPEST] = largest
    return shown


def _in_words(error: BaseException) -> str:
    """An error of a decoder in one line."""
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
