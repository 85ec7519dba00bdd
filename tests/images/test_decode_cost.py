"""Small image files that would cost much: refused by their headers, or stopped in time."""

import hashlib
import io
import struct
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PIL import ImageFile as pillow_files

from tests.images.odd_images import EXACT, encoded
from wheretolook.base.errors import InputError
from wheretolook.images import decode, decode_cost
from wheretolook.images.decode import decode_bytes, decode_image, to_square
from wheretolook.images.scan import ImageFile
from wheretolook.prepare.masks import read_mask
from wheretolook.prepare.pixels import decode_images

STRIP_TAGS = [(256, 4, 1, 8), (257, 4, 1, 8), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1), (277, 3, 1, 1)]


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, more: bytes = b"", rows: bytes = b"") -> bytes:
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = chunk(b"IDAT", zlib.compress(rows or bytes((1 + 3 * width) * height)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + more + data + chunk(b"IEND", b"")


def tiff(tags: list[tuple[int, int, int, int]], end: bytes = bytes(4096)) -> bytes:
    entries = b"".join(struct.pack("<HHII", *tag) for tag in sorted(tags))
    return b"II*\0\x08\0\0\0" + struct.pack("<H", len(tags)) + entries + bytes(4) + end


def tile_tiff() -> bytes:
    """8 x 8 pixels in one tile of 32,768 x 32,768: a gibibyte."""
    tags = [*STRIP_TAGS, (322, 4, 1, 32768), (323, 4, 1, 32768), (324, 4, 1, 300), (325, 4, 1, 1000)]
    return tiff([(259, 3, 1, 8) if tag[0] == 259 else tag for tag in tags])


def many_scans() -> bytes:
    jpeg = encoded(Image.effect_noise((64, 64), 90).convert("RGB"), "JPEG", progressive=True)
    size, scans = jpeg.find(b"\xff\xc2"), jpeg.find(b"\xff\xda")
    large = jpeg[: size + 5] + struct.pack(">HH", 6000, 6000) + jpeg[size + 9 : -2]
    return large + jpeg[scans:-2] * 40 + b"\xff\xd9"


def exif_claims() -> bytes:
    """EXIF data of 60 kB, read once for each of 4,500 tags; more with each further segment."""
    exif = tiff([(1000 + tag, 7, 60_000, 8) for tag in range(4500)])[:65_000]
    jpeg = encoded(Image.new("RGB", (8, 8)), "JPEG")
    parts = [b"Exif\0\0" + exif, b"Exif\0\0" + bytes(60_000)]
    segments = b"".join(b"\xff\xe1" + struct.pack(">H", len(part) + 2) + part for part in parts)
    return jpeg[:2] + segments + jpeg[2:]


COSTLY = {
    "png of one row": lambda: png(49_999_999, 1, rows=b"\0"),
    "png of one column": lambda: png(1, 49_999_999, rows=b"\0"),
    "tiff of one tile": tile_tiff,
    "tiff whose tags all claim the whole file": lambda: tiff(
        [*STRIP_TAGS, *((1000 + n, 7, 90_000, 8) for n in range(400))], bytes(90_000)
    ),
    "tiff of too many tags": lambda: tiff([*STRIP_TAGS, *((1000 + n, 3, 1, 8) for n in range(600))]),
    "tiff of too many strips": lambda: tiff([*STRIP_TAGS, (273, 4, 300_000, 200)], bytes(1_300_000)),
    "jpeg of too many scans": many_scans,
    "jpeg of too many tags": exif_claims,
}


@pytest.mark.parametrize("kind", COSTLY)
def test_a_costly_file_is_refused_by_its_headers(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    content = COSTLY[kind]()
    monkeypatch.setattr(pillow_files.ImageFile, "load_prepare", lambda _: pytest.fail("its pixels are decoded"))
    for size in (0, 1 << 30):  # from the disk, and from memory
        monkeypatch.setattr(decode, "LARGEST_READ", size)
        (tmp_path / "1.png").write_bytes(content)
        with pytest.raises(InputError) as refused:
            decode_image(tmp_path / "1.png")
        assert refused.value.expected and refused.value.found and refused.value.hint
        with pytest.raises(InputError):
            read_mask(tmp_path / "1.png", {0: 0})


@pytest.mark.parametrize("name", ["webp lossless", "cmyk tiff", "palette with alpha", "rgba"])
def test_what_needs_more_memory_than_plain_pixels_has_fewer_of_them(name: str, monkeypatch: pytest.MonkeyPatch):
    content = EXACT[name][0]()
    monkeypatch.setattr(decode_cost, "MOST_MEMORY", 12 * 7 - 1)
    with pytest.raises(InputError, match="too large"):
        decode_bytes(content)
    monkeypatch.setattr(decode_cost, "MOST_MEMORY", 12 * 18 + 200)
    decode_bytes(content)


def test_png_metadata_that_claim_too_much_are_passed_over():
    exif = tiff([(274, 3, 1, 6), *((1000 + tag, 7, 60_000, 8) for tag in range(4500))])
    assert decode_bytes(png(8, 4, chunk(b"eXIf", exif))).size == (8, 4)


@pytest.mark.parametrize("chunks", [2000, 0])
def test_a_file_that_takes_too_long_is_stopped(chunks: int, monkeypatch: pytest.MonkeyPatch):
    clock = iter(range(10**9))
    monkeypatch.setattr(time, "thread_time", lambda: next(clock))  # a second for each read
    monkeypatch.setattr(decode_cost, "MOST_SECONDS", 100)
    content = png(8, 8, chunk(b"prIv", b"") * chunks)
    if chunks:
        with pytest.raises(InputError, match="too slow"):
            decode_bytes(content)
    else:
        assert decode_bytes(content).size == (8, 8)


@pytest.mark.parametrize("name", EXACT)
def test_strips_give_the_pixels_of_the_whole(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    make, expected = EXACT[name]
    (tmp_path / "1.png").write_bytes(make())
    Image.fromarray(expected).save(tmp_path / "2.png", compress_level=0)  # equal pixels, so that they are compared
    files = [ImageFile(f"a/{number}.png", "a", tmp_path / f"{number}.png") for number in (1, 2)]
    whole = decode_images(files, tmp_path / "whole.npy", 16, "pad")
    monkeypatch.setattr("wheretolook.prepare.pixels.LARGEST_READ", 0)
    for module in ("prepare.pixels", "images.decode"):
        monkeypatch.setattr(f"wheretolook.{module}.LARGE", 0)
    monkeypatch.setattr(decode, "STRIP", 4)
    assert np.array_equal(np.asarray(decode_bytes(make())), expected)
    assert decode_images(files, tmp_path / "strips.npy", 16, "pad") == whole
    pixels = Image.fromarray(expected)
    assert whole[0].sha256 != whole[1].sha256 and whole[0].pixels == whole[1].pixels
    assert whole[0].pixels == hashlib.sha256(f"{pixels.size}".encode() + pixels.tobytes()).hexdigest()


@pytest.mark.parametrize("fit", ["stretch", "crop", "pad"])
def test_a_tall_image_is_resized_in_columns_to_the_same_pixels(fit: str, monkeypatch: pytest.MonkeyPatch):
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (97, 31, 3), np.uint8))
    whole = to_square(image, 48, fit)
    monkeypatch.setattr(decode, "MOST_BETWEEN", 97 * 4 * 5)
    assert np.abs(to_square(image, 48, fit).astype(int) - whole).max() <= 1


def test_an_open_file_is_read_as_its_bytes_are():
    content = encoded(Image.new("RGB", (5, 3), (1, 2, 3)), "PNG")
    assert decode_image(io.BytesIO(content)).tobytes() == decode_bytes(content).tobytes()
