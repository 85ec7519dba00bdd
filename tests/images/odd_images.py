"""Odd image files, each with the pixels that it must decode to."""

import struct
import zlib
from collections.abc import Callable
from io import BytesIO

import numpy as np
from PIL import Image

# 4 × 3 pixels: rows of grey steps, so that every flip and turn of it differs.
GREY = np.arange(12, dtype=np.uint8).reshape(3, 4) * 20
COLOUR = np.stack([GREY, 255 - GREY, np.full_like(GREY, 7)], axis=-1)
GREY_AS_RGB = np.repeat(GREY[..., None], 3, axis=-1)


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    """The bytes of an image file."""
    file = BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def colour() -> Image.Image:
    return Image.fromarray(COLOUR)


def on_white(values: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """What is seen of values (H, W, 3) with an alpha (H, W) of 0 to 255, laid on white."""
    share = alpha[..., None] / 255
    return np.rint(values * share + 255 * (1 - share)).astype(np.uint8)


def turned(orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encoded(colour(), "PNG", exif=exif)


def palette(transparent: int | bytes | None = None) -> bytes:
    """Each value of GREY as an index / 20 into a palette of COLOUR's colours."""
    image = Image.fromarray(GREY // 20, mode=None).convert("L")
    image = Image.frombytes("P", image.size, image.tobytes())
    image.putpalette(COLOUR.reshape(-1, 3).tobytes())
    return encoded(image, "PNG", **({} if transparent is None else {"transparency": transparent}))


def grey_alpha() -> bytes:
    return encoded(Image.merge("LA", [Image.fromarray(GREY), Image.fromarray(255 - GREY)]), "PNG")


def rgba() -> bytes:
    return encoded(Image.fromarray(np.dstack([COLOUR, GREY])), "PNG")


def deep_grey(kind: str) -> bytes:
    return encoded(Image.fromarray(GREY.astype(np.uint16) * 257), kind)


def big_endian_tiff() -> bytes:
    """16-bit grey with the high byte first, written by hand."""
    pixels = (GREY.astype(">u2") * 257).astype(">u2").tobytes()
    tags = [(256, 4), (257, 3), (258, 16), (259, 1), (262, 1), (273, 8), (277, 1), (278, 3), (279, len(pixels))]
    entries = b"".join(struct.pack(">HHII", tag, 4, 1, value) for tag, value in tags)
    directory = struct.pack(">H", len(tags)) + entries + struct.pack(">I", 0)
    return b"MM" + struct.pack(">HI", 42, 8 + len(pixels)) + pixels + directory


def deep_colour_png() -> bytes:
    """RGB of 16 bits a channel, written by hand: Pillow writes none."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    rows = b"".join(b"\0" + (row.astype(">u2") * 257).astype(">u2").tobytes() for row in COLOUR)
    header = struct.pack(">IIBBBBB", 4, 3, 16, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def animated(kind: str, **options: object) -> bytes:
    later = Image.fromarray(255 - COLOUR)
    return encoded(colour(), kind, save_all=True, append_images=[later], duration=100, **options)


def bits() -> bytes:
    return encoded(Image.fromarray(GREY > 100), "PNG")


def colour_key() -> bytes:
    """RGB in which one colour, that of the first pixel, is declared transparent."""
    return encoded(colour(), "PNG", transparency=tuple(COLOUR[0, 0].tolist()))


def with_first_white(values: np.ndarray) -> np.ndarray:
    values = values.copy()
    values[0, 0] = 255
    return values


CMYK_TONES = np.zeros((3, 4, 4), np.uint8)
CMYK_TONES[..., 0] = GREY  # cyan takes red

EXACT: dict[str, tuple[Callable[[], bytes], np.ndarray]] = {
    "png": (lambda: encoded(colour(), "PNG"), COLOUR),
    "bmp": (lambda: encoded(colour(), "BMP"), COLOUR),
    "tiff": (lambda: encoded(colour(), "TIFF"), COLOUR),
    "tiff lzw": (lambda: encoded(colour(), "TIFF", compression="tiff_lzw"), COLOUR),
    "webp lossless": (lambda: encoded(colour(), "WEBP", lossless=True), COLOUR),
    "grey png": (lambda: encoded(Image.fromarray(GREY), "PNG"), GREY_AS_RGB),
    "black and white": (bits, np.repeat(np.where(GREY > 100, 255, 0).astype(np.uint8)[..., None], 3, axis=-1)),
    "palette": (palette, COLOUR),
    "palette, one colour transparent": (lambda: palette(0), with_first_white(COLOUR)),
    "palette with alpha": (lambda: palette(bytes([0] + [255] * 11)), with_first_white(COLOUR)),
    "grey with alpha": (grey_alpha, on_white(GREY_AS_RGB.astype(float), 255 - GREY)),
    "rgba": (rgba, on_white(COLOUR.astype(float), GREY)),
    "rgb with a transparent colour": (colour_key, with_first_white(COLOUR)),
    "16-bit grey png": (lambda: deep_grey("PNG"), GREY_AS_RGB),
    "16-bit grey tiff": (lambda: deep_grey("TIFF"), GREY_AS_RGB),
    "16-bit grey tiff, big endian": (big_endian_tiff, GREY_AS_RGB),
    "16-bit colour png": (deep_colour_png, COLOUR),
    "cmyk tiff": (
        lambda: encoded(Image.frombytes("CMYK", (4, 3), CMYK_TONES.tobytes()), "TIFF"),
        np.stack([255 - GREY, np.full_like(GREY, 255), np.full_like(GREY, 255)], axis=-1),
    ),
    "gif, first frame": (lambda: animated("GIF"), COLOUR),
    "animated png, first frame": (lambda: animated("PNG"), COLOUR),
    "animated webp, first frame": (lambda: animated("WEBP", lossless=True), COLOUR),
    "tiff of two pages": (lambda: animated("TIFF"), COLOUR),
    "turned by EXIF: mirrored": (lambda: turned(2), COLOUR[:, ::-1]),
    "turned by EXIF: upside down": (lambda: turned(3), COLOUR[::-1, ::-1]),
    "turned by EXIF: a quarter to the right": (lambda: turned(6), np.rot90(COLOUR, -1)),
    "turned by EXIF: a quarter to the left": (lambda: turned(8), np.rot90(COLOUR, 1)),
    "turned by an EXIF value that does not exist": (lambda: turned(9), COLOUR),
}
