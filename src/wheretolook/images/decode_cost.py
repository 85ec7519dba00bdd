"""Limits on the memory and processor time that decoding one image file may take.

A small file can claim a large picture, a huge tile, thousands of scans, or metadata with thousands of tags. The
decoders are C code that cannot be interrupted, so the cost is estimated from the headers before decoding.
"""

import io
import struct
import time
from typing import Any, BinaryIO

from PIL import Image

from wheretolook.base.errors import InputError

# 50 million RGB pixels take 200 MB in Pillow.
MOST_PIXELS = 50_000_000
# Memory in bytes for decoding and converting one file.
MOST_MEMORY = 375_000_000
# Processor time in seconds for decoding one file.
MOST_SECONDS = 8.0
# Longest side in pixels. Resizing takes 16 bytes for each pixel of a side.
LONGEST_SIDE = 1_000_000
# Number of scans of a JPEG times its pixels. An empty scan takes half a nanosecond a pixel.
MOST_SCANNED = 5_000_000_000
# Number of tags in a metadata directory, and of values of one tag: more than any camera or microscope writes.
MOST_TAGS, MOST_VALUES = 512, 200_000
# Tolerance in bytes when the first directory claims more than the size of the file.
SLACK = 1 << 20

# Bytes per pixel in Pillow, by mode; 4 for all others.
PIXEL_BYTES = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16L": 2, "I;16B": 2, "I;16N": 2}
# Bytes per value, by its type in TIFF and EXIF.
VALUE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
BYTES_TYPES = (1, 2, 6, 7)


class _TimedDecoding:
    """A file that raises InputError when its reader has used MOST_SECONDS of processor time since `start`."""

    def start(self) -> None:
        self._end = time.thread_time() + MOST_SECONDS
        self._unchecked = 0.0

    def read(self, size: int | None = -1) -> bytes:
        # Reading the clock takes longer than reading a header's few bytes.
        self._unchecked += 1 if size is None or not 0 <= size < 512 else 0.05
        if self._unchecked >= 1 and self._is_late():
            raise InputError(
                "too slow to decode",
                f"at most {MOST_SECONDS:g} s of processor time",
                "more",
                "save it again with another program",
            )
        return super().read(size)  # type: ignore[misc]

    def _is_late(self) -> bool:
        self._unchecked = 0.0
        return time.thread_time() > self._end


class TimedBytes(_TimedDecoding, io.BytesIO):
    """The bytes of an image file in memory."""


class TimedFile(_TimedDecoding, io.BufferedReader):
    """An image file on disk."""


def check_before_opening(file: BinaryIO) -> None:
    """Check that a file's metadata do not take too much memory.

    Raises:
        InputError: the first directory of a TIFF, or of the EXIF data of a JPEG, claims more data than there are.
    """
    head = file.read(4)
    file.seek(0)
    if head[:2] == b"\xff\xd8":
        if exif := _jpeg_exif(file):
            _check_directory(io.BytesIO(exif), len(exif))
    elif head in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        size = file.seek(0, io.SEEK_END)
        _check_directory(file, size)
    file.seek(0)


def honest_exif(exif: bytes) -> bool:
    """Whether the tags of EXIF data fit into the data."""
    exif = exif.removeprefix(b"Exif\0\0")
    try:
        _check_directory(io.BytesIO(exif), len(exif))
    except (InputError, struct.error):
        return False
    return True


def check_cost(image: Image.Image, file: BinaryIO) -> None:
    """Check the cost of decoding an image.

    Args:
        image: opened, without its pixels.
        file: the file that it was opened from; its position is kept.

    Raises:
        InputError: too many pixels, too long a side, too much memory, or too many scans.
    """
    pixels = image.width * image.height
    if pixels > MOST_PIXELS or max(image.size) > LONGEST_SIDE:
        raise too_large(f"{image.width} × {image.height} pixels")
    codec = _codec_memory(image, file)
    # Conversion and rotation need a second copy: 4 and 3 bytes a pixel.
    stored = PIXEL_BYTES.get(image.mode, 4) * pixels
    memory = max(stored + codec, stored + 3 * pixels, 7 * pixels if image.mode != "RGB" else 0)
    if memory > MOST_MEMORY:
        raise too_large(f"{image.width} × {image.height} pixels ({image.format}), which take {memory // 10**6:,} MB")


def too_large(found: str) -> InputError:
    """Error for an image that would take too much memory."""
    return InputError(
        "too large",
        f"at most {MOST_PIXELS:,} pixels, and at most {MOST_MEMORY // 10**6} MB to decode them",
        found,
        "shrink it, or cut it into tiles",
    )


def _codec_memory(image: Image.Image, file: BinaryIO) -> int:
    """Memory in bytes of the decoder, besides the pixels."""
    pixels = image.width * image.height
    if image.format in ("JPEG", "MPO"):
        place = file.tell()
        size = file.seek(0, io.SEEK_END)
        file.seek(place)
        # A scan takes 8 bytes or more. Where even so many would be affordable, they are not counted.
        if size // 8 * pixels <= MOST_SCANNED and pixels <= MOST_PIXELS // 8:
            return 8 * pixels
        scans = _scans(file, 2 + MOST_SCANNED // pixels)
        if scans * pixels > MOST_SCANNED:
            raise InputError(
                "too slow to decode",
                f"at most {max(1, MOST_SCANNED // pixels)} scans for an image of this size",
                "more",
                "save it again with another program",
            )
        # With more than one scan, all coefficients are kept, in two bytes each.
        layers = getattr(image, "layer", None) or [(0, 1, 1, 0)] * 3
        wide, high = max(layer[1] for layer in layers), max(layer[2] for layer in layers)
        samples = sum(layer[1] * layer[2] for layer in layers) / (wide * high)
        return int(2 * samples * pixels) if scans > 1 else 0
    if image.format in ("WEBP", "AVIF", "HEIF"):
        # The canvas, the previous canvas, the frame as bytes, and the decoder's own buffers.
        return 14 * pixels
    if image.format == "TIFF":
        return _tiff_memory(image, file)
    # PNG: two rows of at most 8 bytes a pixel. GIF and BMP need less.
    return 16 * image.width


def _tiff_memory(image: Any, file: BinaryIO) -> int:
    tags = image.tag_v2
    bits, samples = tags.get(258, (1,)), int(tags.get(277, 1))
    bits = sum(bits) if len(bits) == samples else max(*bits, 8) * samples
    width, height = image.width, min(int(tags.get(278, image.height)), image.height)
    if 322 in tags and 323 in tags:
        width, height = int(tags[322]), int(tags[323])
    # One decoded tile or strip, and the file, which is mapped into memory.
    place = file.tell()
    size = file.seek(0, io.SEEK_END)
    file.seek(place)
    return width * height * bits // 8 + size


def _scans(file: BinaryIO, most: int) -> int:
    """Upper bound of the number of scans of a JPEG: its start-of-scan markers, counted up to `most`."""
    if isinstance(file, io.BytesIO):
        return file.getvalue().count(b"\xff\xda")
    place, count, last = file.tell(), 0, b""
    file.seek(0)
    while count < most and (block := file.read(1 << 20)):
        count += (last + block).count(b"\xff\xda")
        last = block[-1:]
    file.seek(place)
    return count


def _jpeg_exif(file: BinaryIO) -> bytes:
    """The EXIF data of a JPEG: all segments, joined as Pillow does."""
    found = b""
    file.seek(2)
    while len(head := file.read(4)) == 4 and head[0] == 0xFF and 0xE0 <= head[1] <= 0xFE:
        length = max(int.from_bytes(head[2:], "big") - 2, 0)
        if head[1] == 0xE1:
            data = file.read(length)
            if data.startswith(b"Exif\0\0"):
                found += data[6:]
        else:
            file.seek(length, io.SEEK_CUR)
    return found


def _check_directory(file: BinaryIO, size: int) -> None:
    """Raise InputError if the first TIFF or EXIF directory has too many tags or values, or claims too many bytes."""
    file.seek(0)
    head = file.read(16)
    order = "<" if head[:2] == b"II" else ">"
    big = len(head) == 16 and head[2:4] in (b"+\0", b"\0+")
    if len(head) < 8:
        return
    file.seek(min(struct.unpack_from(order + ("Q" if big else "L"), head, 8 if big else 4)[0], size))
    start = file.read(8 if big else 2)
    if len(start) < (8 if big else 2):
        return
    (count,) = struct.unpack(order + ("Q" if big else "H"), start)
    entry = order + ("HHQ8x" if big else "HHL4x")
    step = struct.calcsize(entry)
    entries = file.read(min(count, MOST_TAGS + 1) * step)
    if count > MOST_TAGS and len(entries) > MOST_TAGS * step:
        raise _claims(f"{count:,} tags")
    claimed = 0
    for _, kind, values in struct.iter_unpack(entry, entries[: len(entries) // step * step]):
        claimed += values * VALUE_BYTES.get(kind, 0)
        if kind in VALUE_BYTES and kind not in BYTES_TYPES and values > MOST_VALUES:
            raise _claims(f"a tag of {values:,} values")
    if claimed > size + SLACK:
        raise _claims(f"tags of {claimed:,} bytes in a file of {size:,}")


def _claims(found: str) -> InputError:
    return InputError(
        "truncated or damaged",
        f"metadata of at most {MOST_TAGS} tags and {MOST_VALUES:,} values, within the size of the file",
        found,
        "save it again with another program",
    )
