"""Decode image and mask files into two .npy arrays, in constant memory."""

import hashlib
import os
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from PIL import Image
from tqdm import tqdm

from wheretolook.base.errors import InputError
from wheretolook.base.files import sha256_of
from wheretolook.base.prepared import LABELS, UNKNOWN
from wheretolook.base.resources import create_array, free_memory, release_pages, usable_cores
from wheretolook.images.decode import DEEPEST, LARGE, LARGEST_READ, decode_file, opened, strips, to_square
from wheretolook.images.decode_cost import TimedBytes
from wheretolook.images.raw_data import RawFile
from wheretolook.images.scan import YOLO, ImageFile
from wheretolook.prepare.masks import labels_to_square, read_mask, read_yolo

Result = TypeVar("Result")

# Rows that are queued at a time: each takes a kilobyte, and there may be millions.
BATCH = 2048
# Rows that a thread takes at a time, at most, and bytes of prepared images that are kept until they are written.
CHUNK, BLOCK_BYTES = 8, 1 << 26

# Memory of a thread in bytes: for each pixel of its result (masks: two float32 for each label), and for its stack.
BYTES_A_PIXEL = 40
BYTES_A_THREAD = 1 << 25


@dataclass(frozen=True, slots=True)
class Decoded:
    """Result of decoding one file."""

    sha256: str  # of the file
    width: int = 0
    height: int = 0
    pixels: str = ""  # the same for files whose decoded pixels are equal, and for no others
    reason: str = ""  # why it could not be decoded; empty if it could
    deepest: int = 0  # largest grey value of a 16-bit image; 0 for other images


def decode_images(files: Sequence[ImageFile], path: Path, size: int, fit: str) -> list[Decoded]:
    """Decode files into one array, uint8 (N, S, S, 3). The row of a file that cannot be decoded is black.

    Args:
        files: N image files.
        path: the .npy file to write.
        size, fit: see `to_square`.
    """
    create_array(path, (len(files), size, size, 3), np.uint8)
    # Written in blocks: the first write to a page of a memory-mapped file takes longer than resizing its pixels.
    block = np.empty((min(len(files), BATCH, max(1, BLOCK_BYTES // (3 * size**2))), size, size, 3), np.uint8)

    def decode(row: int) -> Decoded:
        sha256, image = _decode(files[row].path)
        square = block[row % len(block)]
        if isinstance(image, str):
            square[:] = 0
            return Decoded(sha256, reason=image)
        square[:] = to_square(image, size, fit)
        pixels = hashlib.sha256(f"{image.size}".encode())
        pixels.update(square.data)
        deepest = image.info.get(DEEPEST, 0)
        return Decoded(sha256, image.width, image.height, pixels.hexdigest()[:32], deepest=deepest)

    decoded: list[Decoded] = []
    with path.open("r+b") as file:
        file.seek(-len(files) * block[0].nbytes, os.SEEK_END)
        for one in _each(decode, len(files), "decode", size, len(block)):
            decoded.append(one)
            if len(decoded) % len(block) == 0:
                file.write(block.data)
        file.write(block[: len(files) % len(block)].data)
        file.flush()
        os.fsync(file.fileno())
    _compare_pixels(files, decoded, size)
    return decoded


def _decode(path: RawFile) -> tuple[str, Image.Image | str]:
    """SHA-256 of a file, and its image, or the reason why it cannot be decoded."""
    large = path if isinstance(path, Path) and path.stat().st_size > LARGEST_READ else None
    content = b"" if large else path.read_bytes()
    sha256 = sha256_of(large) if large else hashlib.sha256(content).hexdigest()
    try:
        with opened(large) if large else TimedBytes(content) as file:
            return sha256, decode_file(file)
    except InputError as error:
        return sha256, str(error)
    except MemoryError as error:
        raise MemoryError(f"{path}: {str(error) or 'no room for its pixels'}") from error


def _compare_pixels(files: Sequence[ImageFile], decoded: list[Decoded], size: int) -> None:
    """Replace `pixels` by a hash of all pixels where different files have equal squares.

    Most squares occur once, which spares hashing the pixels of most files.
    """
    first: dict[str, str] = {}
    doubtful = set()
    for one in decoded:
        if one.pixels and first.setdefault(one.pixels, one.sha256) != one.sha256:
            doubtful.add(one.pixels)
    rows = [row for row, one in enumerate(decoded) if one.pixels in doubtful]
    distinct = list({decoded[row].sha256: row for row in rows}.values())

    def hashed(place: int) -> str:
        image = _decode(files[distinct[place]].path)[1]
        return "" if isinstance(image, str) else _pixel_hash(image)

    hashes = list(_each(hashed, len(distinct), "compare", size)) if distinct else []
    by_file = {decoded[row].sha256: pixels for row, pixels in zip(distinct, hashes, strict=True)}
    for row in rows:
        decoded[row] = replace(decoded[row], pixels=by_file[decoded[row].sha256])


def _pixel_hash(image: Image.Image) -> str:
    """SHA-256 of an RGB image's size and pixels."""
    digest = hashlib.sha256(f"{image.size}".encode())
    if image.width * image.height <= LARGE:
        digest.update(image.tobytes())
    else:
        for rows in strips(image.height, image.width):
            digest.update(image.crop((0, rows.start, image.width, rows.stop)).tobytes())
    return digest.hexdigest()


def keep_rows(path: Path, rows: np.ndarray, target: Path) -> None:
    """Move an array to `target`, keeping only these rows."""
    array = np.load(path, mmap_mode="r")
    if len(rows) == len(array):
        path.rename(target)
        return
    kept = create_array(target, (len(rows), *array.shape[1:]), array.dtype)
    for start in range(0, len(rows), BATCH):
        kept[start : start + BATCH] = array[rows[start : start + BATCH]]
        release_pages(array, kept)
    kept.flush()
    path.unlink()


def write_masks(
    masks: Sequence[RawFile | None],
    sizes: Sequence[tuple[int, int]],
    path: Path,
    labels_of: Mapping[int, int],
    size: int,
    fit: str,
) -> dict[str, Any]:
    """Write the masks as one array of labels, uint8 (N, S, S). An image without a mask gets UNKNOWN everywhere.

    Args:
        masks: N mask files, None for an image without one.
        sizes: width and height of each image, which its mask must have too.
        path: the .npy file to write.
        labels_of: the label of each grey value.
        size, fit: see `labels_to_square`.

    Returns:
        `masks` of the audit.

    Raises:
        InputError: a mask that cannot be read, has another size, or has a value without a label.
    """
    array = create_array(path, (len(masks), size, size), np.uint8)

    def read(row: int) -> np.ndarray:
        mask = masks[row]
        if mask is None:
            array[row] = UNKNOWN
            return np.zeros(256, dtype=np.int64)
        labels = read_yolo(mask, sizes[row]) if str(mask).endswith(YOLO) else read_mask(mask, labels_of)
        if labels.shape[::-1] != sizes[row]:
            expected, found = "{} × {}".format(*sizes[row]), "{} × {}".format(*labels.shape[::-1])
            raise InputError(
                mask, f"the size of its image, {expected} pixels", found, "check which image it belongs to"
            )
        array[row] = labels_to_square(labels, size, fit)
        return np.bincount(array[row].ravel(), minlength=256)

    images, area = np.zeros(256, dtype=np.int64), np.zeros(256, dtype=np.int64)
    for row, count in enumerate(_each(read, len(masks), "masks", size)):
        images += count > 0
        area += count
        if row % BATCH == 0:
            release_pages(array)
    array.flush()
    have = sum(mask is not None for mask in masks)
    return {
        "images": have,
        "without": len(masks) - have,
        "labels": {
            name: {"images": int(images[label]), "area_share": float(area[label] / area.sum())}
            for name, label in LABELS.items()
        },
    }


def _each(work: Callable[[int], Result], count: int, name: str, size: int, batch: int = BATCH) -> Iterator[Result]:
    """Yield `work(row)` for rows 0 to `count`, in threads: Pillow releases the GIL while it decodes and resizes.

    The first row of a batch is started when all results of the batch before have been used.
    """
    threads = ThreadPoolExecutor(affordable_threads(size))
    chunk = max(1, min(CHUNK, count // 64))

    def work_on(rows: range) -> list[Result]:
        return [work(row) for row in rows]

    try:
        with warnings.catch_warnings(), tqdm(total=count, desc=name, unit="image", disable=None) as bar:
            # Pillow warns about odd metadata, and about large images, which are checked here anyway.
            warnings.simplefilter("ignore")
            for start in range(0, count, batch):
                end = min(start + batch, count)
                chunks = [range(first, min(first + chunk, end)) for first in range(start, end, chunk)]
                for results in threads.map(work_on, chunks):
                    yield from results
                    bar.update(len(results))
    finally:
        threads.shutdown(cancel_futures=True)


def affordable_threads(size: int) -> int:
    """Number of threads for the available cores and memory, at most 8.

    A decoder that runs out of memory in native code can end the process without a message.

    Args:
        size: width and height of each result, pixels.

    Raises:
        MemoryError: not enough memory for one thread.
    """
    needed, free = BYTES_A_PIXEL * size * size + BYTES_A_THREAD, free_memory()
    if free < needed:
        raise MemoryError(
            f"an image of {size} x {size} pixels takes about {needed / 1e6:.0f} MB, {free / 1e6:.0f} MB are free"
        )
    return min(8, usable_cores(), free // needed)
