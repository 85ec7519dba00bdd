"""Images that two sides share: the same file under the same id, in the test split of both."""

import numpy as np
import pandas as pd
import pytest

from wheretolook.base.errors import InputError
from wheretolook.base.prepared import Prepared
from wheretolook.diff.sides import shared_images


def prepared(*images: tuple[str, str, str], class_names: tuple[str, ...] = ("cat", "dog")) -> Prepared:
    """Data of images, each (image_id, sha256, split)."""
    index = pd.DataFrame(images, columns=["image_id", "sha256", "split"])
    return Prepared(np.zeros((len(images), 1, 1, 3), np.uint8), None, index, class_names, sha256=repr(images))


def test_images_are_matched_by_id_and_content_and_the_others_are_counted() -> None:
    a = prepared(("x", "1", "test"), ("y", "2", "test"), ("z", "3", "train"), ("w", "4", "test"))
    b = prepared(("z", "3", "test"), ("w", "4", "test"), ("y", "other", "test"), ("v", "6", "test"), ("x", "1", "test"))
    shared = shared_images(a, b)
    assert (shared.rows_a.tolist(), shared.rows_b.tolist()) == ([0, 3], [4, 1])
    assert (shared.only_a, shared.only_b) == (1, 3)


def test_other_classes_and_other_images_are_refused() -> None:
    a, other = prepared(("x", "1", "test")), prepared(("x", "1", "test"), class_names=("cat", "cow"))
    with pytest.raises(InputError) as error:
        shared_images(a, other)
    assert (error.value.subject, error.value.found) == ("classes", "cat, dog and cat, cow")
    with pytest.raises(InputError) as error:
        shared_images(a, prepared(("x", "2", "test"), ("y", "1", "test")))
    assert (error.value.subject, error.value.found) == ("data", "none")
