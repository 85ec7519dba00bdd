import numpy as np
import pytest

from wheretolook.base.errors import InputError
from wheretolook.prepare.splits import check_classes

COMMON = ["a"] * 5 + ["b"] * 4


def test_classes_that_fit_into_every_split_are_kept():
    assert check_classes(COMMON, np.arange(9), "refuse") == {}


def test_a_class_of_one_image_is_refused_with_the_remedy():
    with pytest.raises(InputError) as error:
        check_classes([*COMMON, "c"], np.arange(10), "refuse")
    assert error.value.found == "c (1 image)" and error.value.expected.startswith("3 or more")
    assert "prepare.rare_classes: drop" in error.value.hint


def test_a_class_of_one_image_is_dropped_and_named():
    assert check_classes([*COMMON, "c"], np.arange(10), "drop") == {"c": {"images": 1, "reason": "1 image"}}


def test_many_images_of_two_groups_are_too_few():
    units = np.array([0, 1, 2, 3, 4, 5, 6, 7, 8, *[9] * 20, *[10] * 20])
    dropped = check_classes([*COMMON, *["c"] * 40], units, "drop")
    assert dropped["c"] == {"images": 40, "reason": "40 images in 2 groups or set of duplicates"}


def test_to_drop_until_one_class_is_left_is_refused():
    with pytest.raises(InputError) as error:
        check_classes(["a"] * 9 + ["b"] * 2, np.arange(11), "drop")
    assert "b (2 images)" in error.value.found
