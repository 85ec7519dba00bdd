from pathlib import Path

import pytest

from tests.data.made_classes import write_classes, write_mask
from wheretolook.data.folder import copy_class_folders
from wheretolook.data.refusal import Refusal


def names(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_classes(tmp_path / "source", {"a": 1, "b": 2})


def test_images_are_copied_and_nothing_else(source: Path, tmp_path: Path):
    for junk in ("a/Thumbs.db", "b/.DS_Store", "b/notes.txt"):
        (source / "images" / junk).write_bytes(b"junk")
    assert copy_class_folders(source / "images", None, tmp_path / "raw") == 3
    assert names(tmp_path / "raw") == {"images/a/p0_000.png", "images/b/p0_000.png", "images/b/p1_001.png"}
    copied = tmp_path / "raw/images/a/p0_000.png"
    assert copied.read_bytes() == (source / "images/a/p0_000.png").read_bytes()


def test_masks_of_images_are_copied_and_others_stay(source: Path, tmp_path: Path):
    write_mask(source / "masks/b/p1_001.bmp")
    write_mask(source / "masks/b/of_no_image.png")
    copy_class_folders(source / "images", source / "masks", tmp_path / "raw")
    assert names(tmp_path / "raw/masks") == {"b/p1_001.bmp"}


def test_a_folder_of_masks_that_is_missing_or_empty_is_refused(source: Path, tmp_path: Path):
    with pytest.raises(Refusal, match=r"masks: expected a folder of masks; found none; '' stands for no masks"):
        copy_class_folders(source / "images", source / "masks", tmp_path / "raw")
    (source / "masks").mkdir()
    with pytest.raises(Refusal, match=r"expected masks beside the images, such as a/p0_000\.png; found none"):
        copy_class_folders(source / "images", source / "masks", tmp_path / "raw")


def test_a_folder_that_holds_the_target_is_refused(source: Path):
    with pytest.raises(Refusal, match="found one that holds it"):
        copy_class_folders(source, None, source / "raw")
