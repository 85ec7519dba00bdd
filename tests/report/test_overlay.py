"""The console's picture: colour where the map is strong, the image where it is not, a title that fits."""

import subprocess
import sys

import numpy as np
import pytest
from PIL import ImageDraw

from wheretolook.report.overlay import Overlay, draw_overlay, write_overlay
from wheretolook.report.table import predictions_table

GREY = np.full((28, 28, 3), 128, dtype=np.uint8)


def drawn(values, title="cat 0.900 · cam · block4", image=GREY):
    return np.asarray(draw_overlay(Overlay("x", image, np.array(values, dtype=np.float32), title, "logits"))).astype(
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


def test_a_large_image_keeps_its_size():
    assert drawn(np.zeros((2, 2)), image=np.zeros((600, 600, 3), dtype=np.uint8)).shape == (654, 600, 3)


def test_a_long_title_is_made_to_fit():
    title = drawn(
        np.zeros((2, 2)), "a class with a name that is much too long to be drawn at full size, 0.98 · gradcam++"
    )
    assert (title[:30, -6:] == 255).all() and (title[:30] < 128).any()


def test_a_title_may_be_greek_or_cyrillic():
    assert (drawn(np.zeros((2, 2)), "ωχρός")[:28] != drawn(np.zeros((2, 2)), "кровь")[:28]).any()


def test_only_a_map_of_a_class_is_said_to_speak_for_or_against(monkeypatch):
    said = []
    text = ImageDraw.ImageDraw.text
    monkeypatch.setattr(
        ImageDraw.ImageDraw, "text", lambda pen, at, words, **rest: (said.append(words), text(pen, at, words, **rest))
    )
    for knows_class in (True, False):
        draw_overlay(Overlay("x", GREY, np.ones((2, 2), dtype=np.float32), "title", "activation", knows_class))
    assert said[1::2] == [
        "red for, blue against; full at 1 activation",
        "red above zero, blue below; full at 1 activation",
    ]


def test_picture_and_map_are_written_under_one_name(tmp_path):
    values = np.arange(4, dtype=np.float32).reshape(2, 2)
    write_overlay(tmp_path / "out", Overlay("a.cam", GREY, values, "cat", "logits"))
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.cam.npy", "a.cam.png"]
    np.testing.assert_array_equal(np.load(tmp_path / "out/a.cam.npy"), values)


def test_a_map_with_nan_is_never_drawn():
    with pytest.raises(ValueError, match="not finite"):
        drawn([[np.nan, 1]])


def test_drawing_needs_neither_torch_nor_matplotlib():
    code = "import sys, wheretolook.report.overlay; print({'torch', 'matplotlib'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_a_table_has_a_column_for_each_of_few_classes():
    table = predictions_table(["a", "long-name"], ["cat", "dog"], np.array([[0.75, 0.25], [0.125, 0.875]]))
    assert table.splitlines() == [
        "image      predicted    cat    dog",
        "a          cat        0.750  0.250",
        "long-name  dog        0.125  0.875",
    ]


def test_a_table_of_many_classes_shows_the_first_three():
    names = [f"class{k}" for k in range(8)]
    table = predictions_table(["a"], names, np.array([[0, 0.1, 0, 0.6, 0, 0.3, 0, 0]]))
    assert table.splitlines()[1].split() == ["a", "class3", "0.600", "class5", "0.300", "class1", "0.100"]
