"""What a notebook shows of the result of `explain`."""

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

from wheretolook.cams.explain import COLUMNS, ROWS, Explanation


def explanation(images: int, classes: int) -> Explanation:
    rng = np.random.default_rng(0)
    maps = {
        ("cam", "<block>"): rng.normal(size=(images, classes, 4, 4)).astype(np.float32),
        ("eigencam", "<block>"): np.zeros((images, 1, 4, 4), np.float32),
    }
    logits = rng.normal(size=(images, classes)).astype(np.float32)
    return Explanation(maps, logits, np.tile(np.arange(classes), (images, 1)))


@pytest.mark.parametrize(("images", "classes"), [(1, 1), (9, 10)])
def test_a_notebook_shows_the_maps_and_predictions(images: int, classes: int):
    shown = explanation(images, classes)
    html = shown._repr_html_()
    encoded = re.search(r"data:image/png;base64,([^\"]+)", html)
    assert encoded is not None and base64.b64decode(encoded[1]) == shown._repr_png_()
    with Image.open(io.BytesIO(shown._repr_png_())) as picture:
        assert picture.format == "PNG"
        wide = min(classes + 1, COLUMNS)
        assert picture.width == pytest.approx(1.15 * 96 * wide, abs=2)
    assert html.count("<th>image ") == min(images, ROWS)
    assert f"class {shown.logits[0].argmax()}" in html
    assert "<block>" not in html and "&lt;block&gt;" in html
    assert ("Drawn: 6 of 9 images, 8 of 11 maps of each." in html) == (images == 9)
