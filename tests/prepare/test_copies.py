from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.prepare.test_near_copies import moved
from wheretolook.base.errors import InputError
from wheretolook.base.prepared import load_prepared
from wheretolook.params.prepare_options import PrepareOptions
from wheretolook.prepare.copies import NearPairs, Row, pictures
from wheretolook.prepare.prepare_images import kept_pairs, prepare, without_leaks


def row(name: str, split: str, pixels: str = "") -> Row:
    return Row(name, "a", 0, split, "", 8, 8, "", pixels or name)


ROWS = [row("0", "train", "x"), row("1", "test", "x"), row("2", "train"), row("3", "val"), row("4", "train")]
NEAR = NearPairs(np.array([[2, 3]]), 5)


def test_pictures_join_equal_pixels_and_near_copies():
    assert pictures(ROWS, NEAR) == [[0, 1], [2, 3]]


def test_report_keeps_all_rows_and_drop_the_copies_of_the_last_split():
    assert without_leaks(ROWS, NEAR, "report").tolist() == [0, 1, 2, 3, 4]
    assert without_leaks(ROWS, NEAR, "drop").tolist() == [1, 3, 4]


def test_copies_within_one_split_are_no_leak():
    rows = [replace(each, split="train") for each in ROWS]
    assert without_leaks(rows, NEAR, "refuse").tolist() == [0, 1, 2, 3, 4]


def test_refuse_names_the_copies():
    with pytest.raises(InputError) as error:
        without_leaks(ROWS, NEAR, "refuse")
    assert error.value.found == "2 pictures in more than one, such as 0 and 1; 2 and 3"
    assert "prepare.on_leak: drop" in error.value.hint


def test_pairs_of_kept_rows_are_renumbered():
    near = NearPairs(np.array([[0, 1], [2, 4]]), 5)
    assert kept_pairs(near, np.array([0, 2, 4]), 5).pairs.tolist() == [[1, 2]]


@pytest.fixture
def leaky(tmp_path: Path) -> Path:
    """Official splits; test/a/0 equals train/a/0, and test/a/1 is train/a/1 moved by a pixel."""
    pictures = np.random.default_rng(0).integers(0, 256, (24, 32, 32, 3), np.uint8)
    names = [f"{split}/{name}/{n}.png" for split in ("train", "val", "test") for name in "ab" for n in range(4)]
    pictures[names.index("test/a/0.png")] = pictures[names.index("train/a/0.png")]
    pictures[names.index("test/a/1.png")] = moved(pictures[names.index("train/a/1.png")], 1, 1)
    for name, picture in zip(names, pictures, strict=True):
        path = tmp_path / "raw/images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(path)
    return tmp_path / "raw"


OPTIONS = PrepareOptions(32, "stretch", "", "0:background", 0.25, 0.25, 0, "refuse", "error")


def test_leaks_of_official_splits_are_reported_dropped_or_refused(leaky: Path, tmp_path: Path):
    report = prepare(leaky, tmp_path / "report", OPTIONS)
    assert report["images"] == 24 and "leaks_dropped" not in report
    assert report["near_copies"]["of_trained"]["splits"] == {"val": 0, "test": 2}
    dropped = prepare(leaky, tmp_path / "drop", replace(OPTIONS, on_leak="drop"))
    assert dropped["leaks_dropped"] == {"count": 2, "examples": ["train/a/0.png", "train/a/1.png"]}
    assert dropped["images"] == 22 and dropped["near_copies"]["sets"] == 0
    whole, kept = load_prepared(tmp_path / "report"), load_prepared(tmp_path / "drop")
    rows = whole.index["image_id"].isin(kept.index["image_id"])
    np.testing.assert_array_equal(kept.images, whole.images[rows])
    assert not (tmp_path / "drop/leaky.npy").exists() and "leaky.npy" not in dropped["sha256"]
    with pytest.raises(InputError, match="2 pictures in more than one"):
        prepare(leaky, tmp_path / "refuse", replace(OPTIONS, on_leak="refuse"))
    assert not (tmp_path / "refuse").exists()
