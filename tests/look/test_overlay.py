"""The console's picture: colour where the map is strong, the image where it is not, a title that fits."""

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image, ImageDraw

from wheretolook.look.image_files import FADED, box_around_peak, photo_of
from wheretolook.look.map_pictures import SIDE, Overlay, draw_overlay, write_overlay

GREY = photo_of(Image.new("RGB", (28, 28), (128, 128, 128)), SIDE, "stretch")


def drawn(values, title="cat 0.900 · cam · block4", photo=GREY):
    return np.asarray(draw_overlay(Overlay("x", photo, np.array(values, dtype=np.float32), title, "logits"))).astype(
        int
    )


def test_red_speaks_for_blue_against_and_zero_shows_the_image():
    picture = drawn([[3, 0, 0, -3]])[54:]
    left, middle, right = picture[200, 5], picture[200, 224], picture[200, -5]
    assert left[0] > left[2] + 60
    assert right[2] > right[0] + 60
    np.testing.assert_allclose(middle, 128, atol=4)


def test_a_map_of_zeros_leaves_the_image():
    np.testing.assert_array_equal(drawn(np.zeros((2, 2)))[54:], 128)


def test_a_wide_photo_keeps_its_proportions_and_the_map_is_stretched_over_it():
    picture = drawn([[3, 0, 0, -3]], photo=photo_of(Image.new("RGB", (1000, 250)), SIDE, "stretch"))
    assert picture.shape == (54 + 112, 448, 3)
    for row in (60, 160):
        assert picture[row, 5, 0] > 60 > picture[row, 5, 2] and picture[row, -5, 2] > 60 > picture[row, -5, 0]


def test_a_tall_photo_is_centred_under_a_title_of_full_width():
    picture = drawn(np.zeros((2, 2)), photo=photo_of(Image.new("RGB", (50, 200)), SIDE, "stretch"))
    assert picture.shape == (54 + 448, 448, 3)
    assert (
        (picture[54:, :168] == 255).all() and (picture[54:, 168:280] == 0).all() and (picture[54:, 280:] == 255).all()
    )


def test_of_a_cropped_photo_the_map_lies_over_the_middle_and_the_rest_is_faded():
    picture = drawn(np.ones((2, 2)), photo=photo_of(Image.new("RGB", (200, 100)), SIDE, "crop"))[54:]
    outside = np.concatenate([picture[:, :112], picture[:, 336:]], axis=1)
    np.testing.assert_array_equal(outside, round(255 * FADED))
    assert (picture[:, 112:336, 0] > 100).all() and (picture[:, 112:336, 2] < 60).all()


def test_a_padded_photo_is_drawn_in_the_square_that_the_network_saw():
    picture = drawn(np.zeros((2, 2)), photo=photo_of(Image.new("RGB", (200, 100), "white"), SIDE, "pad"))[54:]
    assert picture.shape == (448, 448, 3)
    assert (picture[:112] == 0).all() and (picture[112:336] == 255).all() and (picture[336:] == 0).all()


def test_a_photo_smaller_than_a_pixel_across_is_drawn():
    assert drawn(np.ones((2, 2)), photo=photo_of(Image.new("RGB", (2000, 1)), SIDE, "stretch")).shape == (55, 448, 3)
    assert drawn(np.ones((2, 2)), photo=photo_of(Image.new("RGB", (1, 2000)), SIDE, "crop")).shape == (502, 448, 3)


def test_a_long_title_is_made_to_fit():
    title = drawn(
        np.zeros((2, 2)), "a class with a name that is much too long to be drawn at full size, 0.98 · gradcam++"
    )
    assert (title[:30, -6:] == 255).all() and (title[:30] < 128).any()


def test_a_title_may_be_greek_or_cyrillic():
    assert (drawn(np.zeros((2, 2)), "ωχρός")[:28] != drawn(np.zeros((2, 2)), "кровь")[:28]).any()


def test_only_the_legend_of_a_class_dependent_map_says_for_and_against(monkeypatch):
    drawn_texts = []
    text = ImageDraw.ImageDraw.text
    monkeypatch.setattr(
        ImageDraw.ImageDraw,
        "text",
        lambda pen, at, words, **rest: (drawn_texts.append(words), text(pen, at, words, **rest)),
    )
    for knows_class in (True, False):
        draw_overlay(Overlay("x", GREY, np.ones((2, 2), dtype=np.float32), "title", "activation", knows_class))
    assert drawn_texts[1::2] == [
        "red for, blue against; full colour at 1 activation",
        "red above zero, blue below; full colour at 1 activation",
    ]


def test_picture_and_map_are_written_under_one_name(tmp_path):
    values = np.arange(4, dtype=np.float32).reshape(2, 2)
    write_overlay(tmp_path / "out", Overlay("a.cam", GREY, values, "cat", "logits"))
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.cam.npy", "a.cam.png"]
    np.testing.assert_array_equal(np.load(tmp_path / "out/a.cam.npy"), values)


def test_a_map_with_nan_is_never_drawn():
    with pytest.raises(ValueError, match="not finite"):
        drawn([[np.nan, 1]])


def test_drawing_does_not_load_matplotlib():
    code = "import sys, wheretolook.look.map_pictures; print('matplotlib' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def corner(fit, size):
    """The box in the image of a map that is strong in the upper left of its 4 x 4 cells."""
    values = np.zeros((4, 4), np.float32)
    values[0, 0], values[3, 3] = 8, 2
    box = box_around_peak(values, 0.5)
    assert box is not None and box[:2] == (0, 0) and box[2] == box[3] == pytest.approx(0.25, abs=0.01)
    return photo_of(Image.new("RGB", size), SIDE, fit).image_box(box)


@pytest.mark.parametrize(
    ("fit", "size", "box"),
    [
        ("stretch", (400, 200), (0, 0, 100, 50)),
        ("crop", (400, 200), (100, 0, 150, 50)),  # the middle square begins at 100
        ("crop", (200, 400), (0, 100, 50, 150)),
        ("pad", (400, 200), (0, 0, 100, 0)),  # the first 100 rows of the square are border
        ("pad", (200, 200), (0, 0, 50, 50)),
    ],
)
def test_a_box_is_in_pixels_of_the_image(fit, size, box):
    assert corner(fit, size) == pytest.approx(box, abs=2)


def test_a_box_is_of_the_region_with_the_maximum_and_there_is_none_without_a_positive_value():
    two = np.zeros((8, 8))
    two[1, 1], two[6, 6] = 5, 4
    left, top, right, bottom = box_around_peak(two, 0.2)
    assert 0 < left < 0.2 and right < 0.5 and (left, right) == (top, bottom)
    assert box_around_peak(-np.ones((2, 2)), 0.2) is None
    assert box_around_peak(np.ones((2, 2)), 1.0) == (0, 0, 1, 1)


def test_a_box_is_drawn_over_the_map():
    plain = drawn(np.zeros((2, 2)))
    boxed = np.asarray(
        draw_overlay(Overlay("x", GREY, np.zeros((2, 2), np.float32), "", "logits", box=(0.25, 0.25, 0.75, 0.75)))
    )
    changed = np.argwhere((boxed.astype(int) != plain)[54:].any(axis=-1))
    assert changed.min(axis=0).tolist() == [112, 112] and changed.max(axis=0).tolist() == [335, 335]
