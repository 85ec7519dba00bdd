"""Images read ahead of the network: the same blocks, in order, from an array as from files."""

import numpy as np
import pytest
from PIL import Image

from wheretolook.cams.ahead import read_ahead
from wheretolook.cams.files import ImageFiles
from wheretolook.data.refusal import Refusal

BLOCKS = [slice(0, 3), slice(3, 6), slice(6, 7)]


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 256, (7, 5, 5, 3), dtype=np.uint8)


@pytest.fixture
def files(tmp_path, images):
    paths = [tmp_path / f"{i}.png" for i in range(len(images))]
    for path, pixels in zip(paths, images, strict=True):
        Image.fromarray(pixels).save(path)
    return ImageFiles(paths, 5, "stretch")


@pytest.mark.parametrize("source", ["images", "files"])
def test_each_block_comes_in_its_turn(source, images, request):
    found = list(read_ahead(request.getfixturevalue(source), BLOCKS))
    assert [len(block) for block in found] == [3, 3, 1]
    np.testing.assert_array_equal(np.concatenate(found), images)


def test_blocks_are_taken_in_the_order_asked_for(files, images):
    np.testing.assert_array_equal(np.concatenate(list(read_ahead(files, BLOCKS[::-2]))), images[[6, 0, 1, 2]])


def test_a_file_that_is_no_image_is_refused_by_its_name_alone(files):
    files.paths[4].write_text("no image")
    with pytest.raises(Refusal, match=r"^\S*4\.png: no image; expected JPEG") as refused:
        list(read_ahead(files, BLOCKS))
    assert "Traceback" not in str(refused.value)
