"""Read evidence masks as labels, and resize labels to the size of the prepared images."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image, ImageChops

from wheretolook.base.errors import InputError
from wheretolook.base.prepared import BACKGROUND, EVIDENCE, FOREGROUND, LABELS, MARK, UNKNOWN, Placement, place
from wheretolook.images.decode import (
    DECODER_ERRORS,
    LARGEST_READ,
    STRIP,
    open_bounded,
    opened,
    refuse_no_memory,
    resize,
)
from wheretolook.images.decode_cost import TimedBytes
from wheretolook.images.raw_data import RawFile
from wheretolook.images.scan import fill_polygon
from wheretolook.params.prepare_options import read_mask_values


def parse_mask_values(text: str) -> dict[int, int]:
    """Read "0:background,128:foreground,255:evidence" as {grey value: label}.

    Raises:
        InputError: not of this form, a grey value outside 0 to 255 or given twice, an unknown label.
    """
    return {value: LABELS[name] for value, name in read_mask_values(text).items()}


def read_mask(path: RawFile, labels_of: Mapping[int, int]) -> np.ndarray:
    """Read a mask file.

    Args:
        path: an image with one channel (grey, palette, black and white), or with equal channels.
        labels_of: the label of each grey value (palette: of each index).

    Returns:
        (H, W) uint8, labels.

    Raises:
        InputError: no image, several different channels, or a grey value without a label.
        OSError: the file cannot be read from the disk.
    """
    values = _grey_values(path)
    known = np.zeros(256, dtype=bool)
    known[list(labels_of)] = True
    unnamed = np.setdiff1d(np.unique(values), np.flatnonzero(known))
    if unnamed.size:
        shown = ", ".join(map(str, unnamed[:8])) + (", …" if unnamed.size > 8 else "")
        raise InputError(
            path,
            expected=f"the grey values of prepare.mask_values ({', '.join(map(str, labels_of)) or 'none'})",
            found=shown,
            hint=f"add them to prepare.mask_values, such as {unnamed[0]}:unknown",
        )
    labels = np.zeros(256, dtype=np.uint8)
    labels[list(labels_of)] = list(labels_of.values())
    return labels[values]


def read_yolo(path: RawFile, size: tuple[int, int]) -> np.ndarray:
    """Read boxes and polygons of YOLO: evidence inside, background outside.

    A line is "class x y width height", with the centre of a box and an optional confidence, or "class x y x y x y ...",
    the corners of a polygon. Coordinates are shares of width and height.

    Args:
        path: a text file; an empty one means no evidence.
        size: width and height of its image, pixels.

    Returns:
        (H, W) uint8, labels.

    Raises:
        InputError: no such lines, or coordinates outside of the image.
    """
    labels = np.full(size[::-1], BACKGROUND, np.uint8)
    for number, line in enumerate(path.read_bytes().decode("utf-8", "replace").splitlines(), 1):
        if not (words := line.split()[1:]):
            continue
        try:
            values = np.array([float(word) for word in words])
        except ValueError:
            values = np.empty(0)
        if len(values) in (4, 5):
            x, y, width, height = values[:4]
            half_width, half_height = abs(width) / 2, abs(height) / 2
            left, right, upper, lower = x - half_width, x + half_width, y - half_height, y + half_height
            corners = np.array([(left, upper), (right, upper), (right, lower), (left, lower)])
        else:
            corners = values[: len(values) // 2 * 2].reshape(-1, 2)
        rounding = 1e-3  # of boxes that end at the edge
        inside = (corners >= -rounding) & (corners <= 1 + rounding)
        if len(corners) < 3 or (len(values) % 2 and len(values) != 5) or not inside.all():
            expected = "lines of YOLO: class and x y width height, or class and x y of each corner, from 0 to 1"
            raise InputError(f"{path}, line {number}", expected, f"{line[:80]!r}", "correct the line, or remove it")
        fill_polygon(labels, corners * size, EVIDENCE)
    return labels


def labels_to_square(labels: np.ndarray, size: int, fit: str) -> np.ndarray:
    """Resize labels as `to_square` resizes their image.

    A pixel gets the label that covers most of it. Evidence and marks may be thinner than a pixel: they get as many
    pixels as their area amounts to, those that they cover most (and all ties with the last of them), so that none is
    lost.

    Args:
        labels: (H, W) uint8.
        size: width and height of the result, pixels.
        fit: "stretch", "pad" (the border is background) or "crop".

    Returns:
        (S, S) uint8, labels.
    """
    placed = place(labels.shape[1], labels.shape[0], size, fit)
    square = np.full((size, size), BACKGROUND, dtype=np.uint8)
    if placed.size == (labels.shape[1], labels.shape[0]) and placed.box == (0, 0, *placed.size):
        square[placed.rows, placed.columns] = labels
        return square
    present = [label for label in (BACKGROUND, FOREGROUND, UNKNOWN, EVIDENCE, MARK) if (labels == label).any()]
    covered = np.stack([_coverage(labels == label, placed) for label in present])
    resized = np.array(present, dtype=np.uint8)[covered.argmax(axis=0)]
    for label, share in zip(present, covered, strict=True):
        if label in (EVIDENCE, MARK) and share.any():
            count = max(1, round(float(share.sum())))
            least = np.partition(share, -count, axis=None)[-count]
            resized[resized == label] = _next_best(covered, present, label)[resized == label]
            resized[(share >= least) & (share > 0)] = label
    square[placed.rows, placed.columns] = resized
    return square


def _next_best(covered: np.ndarray, present: list[int], label: int) -> np.ndarray:
    """The label other than `label` that covers most of each pixel."""
    others = np.where((np.array(present) == label)[:, None, None], -1, covered)
    return np.array(present, dtype=np.uint8)[others.argmax(axis=0)]


def _coverage(where: np.ndarray, placed: Placement) -> np.ndarray:
    """Fraction of each resized pixel that `where` covers, (h, w) float32."""
    shares = Image.new("F", where.shape[::-1])
    rows = max(1, STRIP // where.shape[1])
    for start in range(0, len(where), rows):
        shares.paste(Image.fromarray(where[start : start + rows].astype(np.float32)), (0, start))
    return np.asarray(resize(shares, placed, Image.Resampling.BOX))


def _grey_values(path: RawFile) -> np.ndarray:
    """The values of a mask's only channel, (H, W) uint8."""
    # Small files are read before they are decoded: an I/O error is no fault of the mask.
    large = path if isinstance(path, Path) and path.stat().st_size > LARGEST_READ else None
    file = opened(large) if large else TimedBytes(path.read_bytes())
    try:
        with file:
            mask = open_bounded(file)
            band = mask.convert("L") if mask.mode == "1" else _one_band(mask)
            values = np.asarray(band) if len(band.getbands()) == 1 else np.empty(0)
    except Image.UnidentifiedImageError:
        raise InputError(path, "a mask as PNG, BMP or TIFF", "no image", "convert it to PNG") from None
    except InputError as error:
        raise InputError(f"{path}: {error.subject}", error.expected, error.found, error.hint) from error
    except DECODER_ERRORS as error:
        refuse_no_memory(error)
        raise InputError(path, "a complete mask", f"truncated or damaged data ({error})", "save it again") from error
    if values.ndim != 2 or values.dtype != np.uint8:
        raise InputError(path, "one channel of 8 bits", f"Pillow's mode {mask.mode}", "convert it to grey of 8 bits")
    return values


def _one_band(mask: Image.Image) -> Image.Image:
    """The first band of a mask whose bands are all equal; otherwise the mask itself."""
    if len(mask.getbands()) == 1:
        return mask
    first = mask.getchannel(0)
    for band in range(1, len(mask.getbands())):
        if ImageChops.difference(first, mask.getchannel(band)).getbbox():
            return mask
    return first
