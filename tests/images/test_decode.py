import sys
import tracemalloc
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms, features

from tests.images.odd_images import COLOUR, EXACT, GREY, colour, encoded
from wheretolook.base.errors import InputError
from wheretolook.images import decode, decode_cost
from wheretolook.images.decode import decode_bytes, decode_image, to_square


@pytest.mark.parametrize("name", EXACT)
def test_odd_images_decode_to_the_right_pixels(name: str):
    make, expected = EXACT[name]
    image = decode_bytes(make())
    assert image.mode == "RGB"
    np.testing.assert_array_equal(np.asarray(image), expected)


SMOOTH = Image.fromarray(np.full((16, 16, 3), (180, 90, 40), np.uint8))


@pytest.mark.parametrize(
    ("kind", "options"), [("JPEG", {}), ("JPEG", {"progressive": True}), ("WEBP", {}), ("MPO", {"save_all": True})]
)
def test_lossy_kinds_decode_to_nearly_the_pixels(kind: str, options: dict):
    image = decode_bytes(encoded(SMOOTH, kind, **options))
    np.testing.assert_allclose(np.asarray(image), np.asarray(SMOOTH), atol=6)


def test_a_cmyk_jpeg_is_converted():
    red = Image.new("CMYK", (16, 16), (0, 255, 255, 0))
    np.testing.assert_allclose(np.asarray(decode_bytes(encoded(red, "JPEG")))[8, 8], (255, 0, 0), atol=6)


def test_a_grey_jpeg_is_decoded():
    grey = Image.new("L", (16, 16), 77)
    np.testing.assert_allclose(np.asarray(decode_bytes(encoded(grey, "JPEG"))), 77, atol=2)


def test_16_bit_grey_is_scaled_not_clipped_and_dark_stays_dark():
    values = np.array([[0, 257, 4096, 65535]], np.uint16)
    image = np.asarray(decode_bytes(encoded(Image.fromarray(values), "PNG")))
    assert image[0, :, 0].tolist() == [0, 1, 16, 255]


def test_every_16_bit_grey_is_rounded_to_the_nearest_and_takes_little_memory():
    values = np.arange(1 << 20, dtype=np.uint32).astype(np.uint16).reshape(1024, 1024)
    content = encoded(Image.fromarray(values), "PNG")
    tracemalloc.start()
    image = np.asarray(decode_bytes(content))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    np.testing.assert_array_equal(image[..., 0], np.rint(values / 257))
    assert peak < 14 * values.size


@pytest.mark.parametrize("error", [MemoryError(), OSError("out of memory error when reading image file")])
def test_a_full_memory_is_no_damage(error: Exception, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    def full(_: Image.Image) -> Image.Image:
        raise error

    monkeypatch.setattr(decode, "_to_rgb", full)
    with pytest.raises(MemoryError):
        decode_bytes(encoded(colour(), "PNG"))


def test_the_content_decides_on_the_format_not_the_name(tmp_path: Path):
    (tmp_path / "really_a_png.jpg").write_bytes(encoded(colour(), "PNG"))
    np.testing.assert_array_equal(np.asarray(decode_image(tmp_path / "really_a_png.jpg")), COLOUR)


def test_an_open_file_is_decoded():
    np.testing.assert_array_equal(np.asarray(decode_image(BytesIO(encoded(colour(), "PNG")))), COLOUR)


NOISE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8))


@pytest.mark.parametrize("share", [0.05, 0.5, 0.95])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "TIFF", "WEBP", "GIF"])
def test_a_file_that_is_cut_off_is_refused(kind: str, share: float, tmp_path: Path):
    content = encoded(NOISE, kind)
    path = tmp_path / "cut.img"
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(InputError, match=r"cut\.img: (truncated or damaged|no image)"):
        decode_image(path)


@pytest.mark.parametrize(
    "content", [b"", b"GIF89a", b"<html>not found</html>", b"%!PS-Adobe-3.0 EPSF-3.0\n", b"\0" * 999]
)
def test_what_is_no_image_is_refused_by_name(content: bytes, tmp_path: Path):
    (tmp_path / "odd.png").write_bytes(content)
    with pytest.raises(InputError, match=r"odd\.png: (no image|truncated or damaged)"):
        decode_image(tmp_path / "odd.png")


def test_more_pixels_than_are_read_are_refused_before_they_fill_the_memory(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(decode_cost, "MOST_PIXELS", 11)
    with pytest.raises(InputError) as error:
        decode_bytes(encoded(colour(), "PNG"))
    assert error.value.subject == "too large" and "at most 11 pixels" in error.value.expected
    assert error.value.found == "4 × 3 pixels"


@pytest.mark.parametrize("side", [8_000, 14_000])
def test_a_decompression_bomb_is_refused(side: int):
    bomb = encoded(Image.new("1", (side, side)), "PNG")
    assert len(bomb) < side * side / 1000
    with pytest.raises(InputError, match="too large"):
        decode_bytes(bomb)


def test_32_bit_floats_and_lab_are_refused_with_what_is_read():
    with pytest.raises(InputError, match="grey, colour, palette or CMYK of 8 bits, or grey of 16"):
        decode_bytes(encoded(Image.fromarray(GREY.astype(np.float32)), "TIFF"))
    to_lab = ImageCms.buildTransform(ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB")
    with pytest.raises(InputError, match="LAB"):
        decode_bytes(encoded(ImageCms.applyTransform(colour(), to_lab), "TIFF"))


def test_grey_beyond_16_bits_is_refused():
    with pytest.raises(InputError, match="found 0 to 70000"):
        decode_bytes(encoded(Image.fromarray(np.array([[0, 70000]], np.int32)), "TIFF"))


def test_an_image_with_damaged_exif_is_shown_as_it_is_stored():
    content = encoded(colour(), "PNG", exif=b"Exif\0\0MM\0*\0\0\0\x08\0\x09not a directory")
    np.testing.assert_array_equal(np.asarray(decode_bytes(content)), COLOUR)


class TestToSquare:
    def test_an_image_of_the_size_is_not_touched(self):
        pixels = np.asarray(NOISE)
        for fit in ("stretch", "pad", "crop"):
            np.testing.assert_array_equal(to_square(NOISE, 40, fit), pixels)

    def test_stretch_fills_the_square_with_the_whole_image(self):
        halves = Image.fromarray(np.repeat(np.array([[[10] * 3, [200] * 3]], np.uint8), 8, axis=1))  # 1 × 16
        square = to_square(halves, 16, "stretch")
        assert (square[:, :7] == 10).all() and (square[:, 9:] == 200).all()

    def test_pad_keeps_proportions_and_adds_black_above_and_below(self):
        square = to_square(Image.new("RGB", (8, 4), (9, 9, 9)), 8, "pad")
        assert (square[2:6] == 9).all() and (square[:2] == 0).all() and (square[6:] == 0).all()

    def test_crop_cuts_both_ends_of_the_longer_side(self):
        stripes = np.zeros((4, 8, 3), np.uint8)
        stripes[:, 2:6] = 50
        assert (to_square(Image.fromarray(stripes), 4, "crop") == 50).all()

    def test_an_unknown_fit_is_an_error(self):
        with pytest.raises(ValueError, match="fit 'zoom'"):
            to_square(NOISE, 8, "zoom")


@pytest.mark.skipif(not features.check("avif"), reason="this build of Pillow has no AVIF")
def test_avif_is_decoded():
    pixels = np.zeros((32, 48, 3), np.uint8)
    pixels[:, 24:] = 200
    stored = BytesIO()
    Image.fromarray(pixels).save(stored, "AVIF", quality=100)
    assert np.abs(np.asarray(decode_bytes(stored.getvalue())).astype(int) - pixels).max() <= 6


@pytest.mark.parametrize(("brand", "hint"), [(b"heic", "pillow-heif"), (b"mif1", "pillow-heif")])
def test_heic_without_a_decoder_is_refused_by_name(brand: bytes, hint: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(InputError) as error:
        decode_bytes(b"\0\0\0\x18ftyp" + brand + bytes(40))
    assert error.value.subject == "HEIC" and hint in error.value.hint
