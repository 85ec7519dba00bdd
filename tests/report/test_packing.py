import base64
import io
import zlib

import numpy as np
from hypothesis import given
from hypothesis.extra.numpy import arrays
from hypothesis.strategies import floats
from PIL import Image

from wheretolook.report.page_data import deflated, limit_cells, pack_maps, picture, quantise


@given(arrays(np.float32, (2, 3, 2, 4), elements=floats(-1e6, 1e6, width=32, allow_subnormal=False)))
def test_eight_bits_are_off_by_at_most_half_a_scale(maps):
    scales, steps = quantise(maps)
    restored = steps * scales[:, None, None, None]
    np.testing.assert_array_less(np.abs(restored - maps).max(axis=(1, 2, 3)), scales * 0.501 + 1e-30)


def test_the_largest_value_of_an_image_uses_all_steps_and_zero_stays_zero():
    maps = np.array([[[[0.5, -2.0], [0.0, 1.0]]], [[[0.0, 0.0], [0.0, 0.0]]]], np.float32)
    scales, steps = quantise(maps)
    assert steps[0, 0].tolist() == [[32, -127], [0, 64]]
    assert (steps[1] == 0).all()
    assert scales[1] == 0


def test_packed_maps_hold_scales_and_steps_in_the_order_of_the_page():
    maps = np.array([[[[1.0, -1.0]]], [[[127.0, 254.0]]]], np.float32)
    content = zlib.decompress(base64.b64decode(pack_maps(maps)), wbits=-15)
    np.testing.assert_allclose(np.frombuffer(content[:8], "<f4"), [1 / 127, 2])
    assert np.frombuffer(content[8:], np.int8).tolist() == [127, -127, 64, 127]


def test_the_last_class_is_replaced_by_the_sum_of_all():
    maps = np.array([[[[127.0, -100.0]], [[-120.0, -100.0]]]], np.float32)
    steps = np.frombuffer(zlib.decompress(base64.b64decode(pack_maps(maps)), wbits=-15)[4:], np.int8)
    assert steps.tolist() == [127, -100, 7, 56]
    # -200 wraps to 56, and 56 - (-100) wraps back to -100.
    assert (steps[2:] - steps[:2]).tolist() == [-120, -100]


def test_finer_maps_are_averaged_and_coarser_ones_left_alone():
    maps = np.arange(16, dtype=np.float32).reshape(1, 1, 4, 4)
    np.testing.assert_array_equal(limit_cells(maps, 2)[0, 0], [[2.5, 4.5], [10.5, 12.5]])
    np.testing.assert_array_equal(limit_cells(maps, 9), maps)


def test_deflated_bytes_are_the_same_each_time():
    assert deflated(b"the same" * 100) == deflated(b"the same" * 100)


def test_a_picture_keeps_its_size_and_nearly_its_colours():
    image = np.full((40, 40, 3), [200, 60, 20], np.uint8)
    written = base64.b64decode(picture(image).removeprefix("data:image/webp;base64,"))
    read = np.asarray(Image.open(io.BytesIO(written)).convert("RGB")).astype(int)
    assert read.shape == image.shape
    assert np.abs(read - image).max() <= 6
