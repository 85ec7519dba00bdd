from pathlib import Path

import pytest

from tests.images.made_classes import write_classes, write_mask
from wheretolook.base.errors import InputError
from wheretolook.images.scan import scan_classes
from wheretolook.sources.folder import copy_class_folders


def names(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_classes(tmp_path / "source", {"a": 1, "b": 2})


def test_images_are_copied_and_nothing_else(source: Path, tmp_path: Path):
    for junk in ("a/Thumbs.db", "b/.DS_Store", "b/notes.txt"):
        (source / "images" / junk).write_bytes(b"junk")
    assert len(copy_class_folders(source / "images", None, tmp_path / "raw").files) == 3
    assert names(tmp_path / "raw") == {"images/a/p0_000.png", "images/b/p0_000.png", "images/b/p1_001.png"}
    copied = tmp_path / "raw/images/a/p0_000.png"
    assert copied.read_bytes() == (source / "images/a/p0_000.png").read_bytes()


def test_masks_are_copied_including_those_of_no_image(source: Path, tmp_path: Path):
    write_mask(source / "masks/b/p1_001.bmp")
    write_mask(source / "masks/b/of_no_image.png")
    copy_class_folders(source / "images", source / "masks", tmp_path / "raw")
    assert names(tmp_path / "raw/masks") == {"b/p1_001.bmp", "b/of_no_image.png"}


def test_a_folder_of_masks_that_is_missing_or_empty_is_refused(source: Path, tmp_path: Path):
    with pytest.raises(InputError) as missing:
        copy_class_folders(source / "images", source / "masks", tmp_path / "raw")
    (source / "masks").mkdir()
    with pytest.raises(InputError) as empty:
        copy_class_folders(source / "images", source / "masks", tmp_path / "raw")
    assert missing.value.subject == empty.value.subject == str(source / "masks")
    assert missing.value.expected == "a folder of masks" and missing.value.found.startswith("no folder")
    assert "a/p0_000.png" in empty.value.expected and empty.value.found == "none"


@pytest.mark.parametrize("place", ["masks", "b/masks", "labels/masks"])
def test_masks_inside_the_folder_of_images_are_no_class_and_no_images(place: str, source: Path, tmp_path: Path):
    images = source / "images"
    write_mask(images / place / "b/p1_001.png")
    copy_class_folders(images, images / place, tmp_path / "raw")
    expected = {"images/a/p0_000.png", "images/b/p0_000.png", "images/b/p1_001.png", "masks/b/p1_001.png"}
    assert names(tmp_path / "raw") == expected


def test_masks_beside_the_only_folder_of_class_folders_do_not_hide_it(source: Path, tmp_path: Path):
    for name in ("a/p0_000", "b/p0_000"):
        write_mask(source / "masks" / f"{name}.png")
    copy_class_folders(source, source / "masks", tmp_path / "raw")
    assert scan_classes(tmp_path / "raw/images").class_names == ("a", "b")


@pytest.mark.parametrize("linked", ["images", "masks"])
def test_masks_inside_are_found_there_through_links_too(linked: str, source: Path, tmp_path: Path):
    images, elsewhere = source / "images", source / "elsewhere"
    write_mask((images / "masks" if linked == "images" else elsewhere) / "b/p1_001.png")
    (elsewhere if linked == "images" else images / "masks").symlink_to(images if linked == "images" else elsewhere)
    given = elsewhere if linked == "images" else images
    copy_class_folders(given, images / "masks", tmp_path / "raw")
    assert scan_classes(tmp_path / "raw/images").class_names == ("a", "b")


def test_a_wrong_folder_of_masks_is_refused_before_an_image_is_copied(source: Path, tmp_path: Path):
    write_mask(source / "masks/c/other.png")
    with pytest.raises(InputError, match="1 of 1 masks that belong to no image"):
        copy_class_folders(source / "images", source / "masks", tmp_path / "raw")
    assert not (tmp_path / "raw").exists()


def test_a_folder_that_holds_the_target_is_refused(source: Path):
    with pytest.raises(InputError, match="found one that contains it"):
        copy_class_folders(source, None, source / "raw")
