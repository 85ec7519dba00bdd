import hashlib

import numpy as np
from PIL import Image

from wheretolook.report.drawing import caption, drawing, show_overlay, strength


def test_full_colour_is_what_99_of_100_cells_stay_below():
    assert strength(np.arange(-100, 1.0)) == 99
    assert strength(np.zeros(4)) == 1


def test_a_caption_of_any_length_stays_within_its_figure(tmp_path):
    with drawing(tmp_path / "a.png", 3, 2) as figure:
        caption(figure, "Parasitized/C46P7ThinF_IMG_20151130_210123_cell_132.png: for the true class " * 3)
        figure.canvas.draw()
        box = figure._supxlabel.get_window_extent()
    assert box.x0 >= 0
    assert box.x1 <= figure.bbox.width


def draw(path):
    with drawing(path, 2, 2) as figure:
        axes = figure.subplots()
        show_overlay(axes, np.full((8, 8, 3), 128, np.uint8), np.array([[1.0, -1.0], [0.0, 0.0]]), 1.0)
    return path.read_bytes()


def test_a_figure_is_the_same_to_the_byte_and_tells_nothing_of_who_drew_it(tmp_path):
    first, second = draw(tmp_path / "a.png"), draw(tmp_path / "b.png")
    assert hashlib.sha256(first).digest() == hashlib.sha256(second).digest()
    with Image.open(tmp_path / "a.png") as image:
        assert "Software" not in image.info


def test_settings_of_the_person_change_no_figure(tmp_path):
    import matplotlib

    first = draw(tmp_path / "a.png")
    with matplotlib.rc_context({"font.size": 30, "savefig.dpi": 300, "axes.facecolor": "red"}):
        assert draw(tmp_path / "b.png") == first


def test_red_is_for_blue_is_against_and_zero_leaves_the_image(tmp_path):
    draw(tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as image:
        pixels = np.asarray(image.convert("RGB")).astype(int)
    height, width = pixels.shape[:2]
    for_, against, zero = (
        pixels[y, x] for y, x in ((height // 8, width // 8), (height // 8, -width // 8), (-width // 8, width // 8))
    )
    assert for_[0] > for_[2] + 60
    assert against[2] > against[0] + 60
    np.testing.assert_array_equal(zero, 128)
