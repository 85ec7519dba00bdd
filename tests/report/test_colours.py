import numpy as np
import pytest

from wheretolook.report.drawing import colour, diverging, sequential


def oklab(srgb: np.ndarray) -> np.ndarray:
    """Oklab of sRGB bytes, by the published matrices of the forward direction (the module holds the inverse)."""
    encoded = srgb / 255
    linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    lms = linear @ np.array(
        [
            [0.4122214708, 0.2119034982, 0.0883024619],
            [0.5363325363, 0.6806995451, 0.2817188376],
            [0.0514459929, 0.1073969566, 0.6299787005],
        ]
    )
    return np.cbrt(lms) @ np.array(
        [
            [0.2104542553, 1.9779984951, 0.0259040371],
            [0.7936177850, -2.4285922050, 0.7827717662],
            [-0.0040720468, 0.4505937099, -0.8086757660],
        ]
    )


@pytest.mark.parametrize("table", [sequential(), diverging()])
def test_a_table_holds_256_read_only_colours(table):
    assert table.shape == (256, 3)
    assert table.dtype == np.uint8
    with pytest.raises(ValueError, match="read-only"):
        table[0] = 0


def test_lightness_of_the_sequential_map_only_rises():
    assert (np.diff(oklab(sequential())[:, 0]) > 0).all()


@pytest.mark.parametrize("table", [sequential(), diverging()[:128], diverging()[128:]])
def test_equal_steps_look_equally_far_apart(table):
    # Over eight rows, rounding to bytes no longer counts.
    steps = np.linalg.norm(oklab(table)[8:] - oklab(table)[:-8], axis=1)
    assert steps.max() / steps.min() < 1.25


def test_both_signs_are_equally_light_at_equal_distance_from_zero():
    lightness = oklab(diverging())[:, 0]
    np.testing.assert_allclose(lightness, lightness[::-1], atol=0.03)
    assert lightness.argmax() in (127, 128)


def test_red_is_for_and_blue_is_against():
    for_, against = colour(np.array([1.0, -1.0]), signed=True).astype(int)
    assert for_[0] > for_[2] + 80
    assert against[2] > against[0] + 80


def test_values_outside_the_range_take_the_colour_of_its_end():
    np.testing.assert_array_equal(colour(np.array([-3.0, 7.0]), signed=False), sequential()[[0, 255]])
    np.testing.assert_array_equal(colour(np.array([-3.0, 7.0]), signed=True), diverging()[[0, 255]])


def test_colours_keep_the_shape_of_the_map():
    assert colour(np.zeros((2, 5, 7)), signed=True).shape == (2, 5, 7, 3)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_value_that_is_not_finite_has_no_colour(value):
    with pytest.raises(ValueError, match="not finite"):
        colour(np.array([value]), signed=False)
