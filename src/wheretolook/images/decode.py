"""Decode image files to RGB, and resize them to a square. Colour profiles are not applied."""

import struct
import zlib
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import ExifTags, Image, features

from wheretolook.base.errors import InputError
from wheretolook.base.prepared import Placement, place
from wheretolook.images.decode_cost import (
    TimedBytes,
    TimedFile,
    check_before_opening,
    check_cost,
    honest_exif,
    too_large,
)

# Only formats that Pillow decodes itself: it would start another program for EPS. Some builds of Pillow lack AVIF.
FORMATS = ("JPEG", "PNG", "BMP", "TIFF", "WEBP", "GIF", *(("AVIF",) if features.check("avif") else ()))
SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jfif", ".png", ".bmp", ".tif", ".tiff", ".webp", ".gif", ".avif", ".heic", ".heif"}
)
# Brands of ISO media files with a picture that Pillow does not decode itself, or not in every build.
BRANDS = {b"heic": "HEIC", b"heix": "HEIC", b"heim": "HEIC", b"heis": "HEIC", b"mif1": "HEIC", b"avif": "AVIF"}

# An image of more than LARGE pixels is converted in strips of STRIP pixels, to keep at most two copies in memory.
LARGE, STRIP = 4_000_000, 1_000_000

DIRECT_MODES = frozenset({"1", "L", "P", "RGB", "RGBX", "CMYK", "YCbCr"})
ALPHA_MODES = frozenset({"LA", "PA", "RGBA", "La", "RGBa"})
DEEP_GREY_MODES = frozenset({"I;16", "I;16L", "I;16B", "I;16N", "I"})

# Key in `Image.info` for the largest grey value of a 16-bit image before its conversion.
DEEPEST = "largest of 16 bits"

# Larger files (in bytes) are decoded from the disk instead of from memory.
LARGEST_READ = 16 << 20
# Memory in bytes for the intermediate image of a resize, which has the new width and the old height.
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

# Exceptions of Pillow's decoders for damaged files. Warnings are raised only if the caller turned them into errors.
# MemoryError is not among them: a full memory says nothing about the file.
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

    The content decides the format, not the name. Of an animation, the first frame is used. EXIF orientation is applied.
    Transparent images are composited on white, CMYK is converted, and 16-bit grey is scaled by its full range (65,535
    becomes 255, whatever the largest value). A file that lacks only its end marker is decoded.

    Args:
        path: a file, or an open binary file.

    Returns:
        An RGB image.

    Raises:
        InputError: no image, truncated or damaged, an unsupported mode, or too costly (`decode_cost`).
        MemoryError: not enough memory for its pixels.
    """
    if not isinstance(path, Path):
        return decode_bytes(path.read())
    try:
        with opened(path) as file:
            return decode_file(file)
    except InputError as error:
        raise InputError(f"{path}: {error.subject}", error.expected, error.found, error.hint) from error


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
        fit: "stretch" changes the proportions, "pad" adds black borders, "crop" cuts off the ends of the longer side.

    Returns:
        (S, S, 3) uint8. The pixels of an image of this size are unchanged.
    """
    placed = place(image.width, image.height, size, fit)
    square = np.zeros((size, size, 3), dtype=np.uint8)
    resized = resize(image, placed, Image.Resampling.BILINEAR)
    square[placed.rows, placed.columns] = np.asarray(resized)
    return square


def resize(image: Image.Image, placed: Placement, method: Image.Resampling) -> Image.Image:
    """Resize a box of an image.

    Pillow's intermediate image has the new width and the old height, which takes much memory for a very tall image:
    such an image is resized in groups of columns.
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
    """Open an image and load its pixels, within the limits of `decode_cost`.

    Raises:
        InputError: it would take too much memory or time.
        UnidentifiedImageError: no image.
        DECODER_ERRORS: damaged.
    """
    file.start()
    check_before_opening(file)
    image = Image.open(file, formats=_formats(file))
    check_cost(image, file)
    image.load()
    return image


def _formats(file: TimedBytes | TimedFile) -> tuple[str, ...]:
    """The formats to try: HEIC only for a file that looks like it, if pillow-heif is installed."""
    head = file.read(12)
    file.seek(0)
    if BRANDS.get(head[4:].removeprefix(b"ftyp")) != "HEIC":
        return FORMATS
    try:
        from pillow_heif import register_heif_opener
    except ModuleNotFoundError:
        return FORMATS
    register_heif_opener()
    return (*FORMATS, "HEIF")


def decode_file(file: TimedBytes | TimedFile) -> Image.Image:
    """As `decode_image`, for an open file. Errors do not contain its name."""
    try:
        image = open_bounded(file)
        return _large_to_rgb(image) if image.width * image.height > LARGE else _to_rgb(_upright(image))
    except Image.UnidentifiedImageError:
        file.seek(4)
        kind = BRANDS.get(file.read(8).removeprefix(b"ftyp"), "")
        if kind:
            hint = "convert it to JPEG or PNG, or install pillow-heif" if kind == "HEIC" else "convert it to PNG"
            raise InputError(kind, "a format that Pillow can decode here", f"{kind}, without a decoder", hint) from None
        raise InputError("no image", f"one of {', '.join(FORMATS)}", "another format") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise too_large("many more") from None
    except DECODER_ERRORS as error:
        refuse_no_memory(error)
        raise InputError("truncated or damaged", "a complete image", _first_line(error)) from error


def refuse_no_memory(error: Exception) -> None:
    """Raise MemoryError if an error of Pillow, which may be an OSError, means that memory ran out."""
    if "out of memory" in str(error):
        raise MemoryError(str(error)) from error


def _upright(image: Image.Image) -> Image.Image:
    """Apply the EXIF orientation."""
    turn = _turn(image)
    return image if turn is None else image.transpose(turn)


def _turn(image: Image.Image) -> Image.Transpose | None:
    """The transpose for the EXIF orientation; None if there is none, or the metadata are damaged."""
    try:
        if image.format != "TIFF" and not honest_exif(image.info.get("exif", b"")):
            return None
        return ORIENTATIONS.get(image.getexif().get(ExifTags.Base.Orientation, 1))
    except DECODER_ERRORS:
        return None


def _large_to_rgb(image: Image.Image) -> Image.Image:
    """As `_to_rgb(_upright(image))`, in strips. Closes the image."""
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
    """Consecutive groups of rows of an image, of about STRIP pixels each."""
    step = max(1, STRIP // width)
    return [slice(start, min(start + step, height)) for start in range(0, height, step)]


def _turned(pixels: np.ndarray, turn: Image.Transpose) -> np.ndarray:
    """View of (H, W, 3) pixels, transposed as Pillow does."""
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
    """Convert from any supported mode to RGB."""
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
        "unsupported pixels",
        expected="grey, colour, palette or CMYK of 8 bits, or grey of 16 bits",
        found=f"Pillow's mode {image.mode}",
        hint="convert it to PNG",
    )


def _deep_grey_to_rgb(image: Image.Image) -> Image.Image:
    """Scale 16-bit grey by its full range. Pillow's own conversion clips all values above 255."""
    deep = np.asarray(image)
    if deep.min() < 0 or deep.max() > 65535:
        raise InputError(
            "unsupported pixels",
            expected="grey values from 0 to 65535",
            found=f"{deep.min()} to {deep.max()}",
            hint="scale them to 16 bits, and save it as PNG",
        )
    largest = int(deep.max())
    deep = deep.astype(np.uint16, copy=False)
    # deep / 257, rounded, without leaving 16-bit integers.
    shown = Image.fromarray((deep // 257 + (deep % 257 > 128)).astype(np.uint8)).convert("RGB")
    shown.info[DEEPEST] = largest
    return shown


def _first_line(error: BaseException) -> str:
    """The first line of a decoder's message, or the name of its exception."""
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
