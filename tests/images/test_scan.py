import os
from pathlib import Path

import pytest

from tests.images.made_classes import write_classes, write_image, write_mask
from wheretolook.base.errors import InputError, is_class_name
from wheretolook.images.raw_data import image_paths
from wheretolook.images.scan import Masks, find_masks, scan_classes


@pytest.fixture
def images(tmp_path: Path) -> Path:
    return write_classes(tmp_path, {"b": 2, "a": 1}) / "images"


def test_images_are_listed_by_path_and_classes_sorted(images: Path):
    scan = scan_classes(images)
    assert [file.image_id for file in scan.files] == ["a/p0_000.png", "b/p0_000.png", "b/p1_001.png"]
    assert scan.class_names == ("a", "b") and scan.ignored == ()


def test_images_in_subfolders_belong_to_the_class(images: Path):
    write_image(images / "b" / "slide 1" / "x.JPG", 9)
    assert scan_classes(images).files[-1].image_id == "b/slide 1/x.JPG"


def test_junk_is_passed_over_in_silence_and_other_files_are_named(images: Path):
    junk = ("a/Thumbs.db", "a/.DS_Store", "a/._p0.png", "a/__MACOSX/p0.png", "a/@eaDir/1.jpg/SYNOFILE_THUMB_M.jpg")
    for name in (*junk, "a/notes.txt", "readme.md"):
        (images / name).parent.mkdir(exist_ok=True, parents=True)
        (images / name).write_bytes(b"junk")
    for name in (".git", "@eaDir", "$RECYCLE.BIN"):
        (images / name).mkdir()
    scan = scan_classes(images)
    assert len(scan.files) == 3 and scan.class_names == ("a", "b")
    assert scan.ignored == ("a/notes.txt",)


@pytest.mark.parametrize(
    ("counts", "expected", "found"),
    [
        ({}, "one folder of images for each class", "no folder"),
        ({"a": 2}, "at least two class folders", "one, a"),
        ({"a": 2, "empty": 0}, "images of the class empty", "none"),
        ({"empty": 0, "void": 0}, "in its folders empty, void", "none"),
    ],
)
def test_what_no_classifier_can_be_trained_on_is_refused(
    counts: dict[str, int], expected: str, found: str, tmp_path: Path
):
    write_classes(tmp_path, counts)
    for name in counts:
        (tmp_path / "images" / name).mkdir(parents=True, exist_ok=True)
    (tmp_path / "images").mkdir(exist_ok=True)
    with pytest.raises(InputError) as error:
        scan_classes(tmp_path / "images")
    assert expected in error.value.expected and error.value.found == found and error.value.hint


def test_a_missing_folder_is_refused(tmp_path: Path):
    with pytest.raises(InputError) as error:
        scan_classes(tmp_path / "nowhere")
    assert (error.value.subject, error.value.found) == (str(tmp_path / "nowhere"), "no folder")


def test_loose_images_are_pointed_out(tmp_path: Path):
    write_image(tmp_path / "one.png", 0)
    with pytest.raises(InputError, match="but 1 loose images"):
        scan_classes(tmp_path)


def test_a_name_that_is_not_utf_8_is_refused(images: Path):
    try:
        Path(f"{images}/a/cell_\udcff.png").write_bytes(b"x")
    except OSError:
        pytest.skip("this file system takes UTF-8 names alone")
    with pytest.raises(InputError) as error:
        scan_classes(images)
    assert error.value.expected == "a file name in UTF-8" and r"a/cell_\udcff.png" in error.value.subject


@pytest.mark.parametrize(
    "name",
    [
        "a/c\rd.png",
        "a\nb/x.png",
        "a/x\x1b[31m/x.png",
        "a/notes\t.txt",
        "a/\u202egnp.x.png",
        "a\u200b/x.png",
        "a/\u2066x\u2069.png",
        "a\u200dc/x.png",
        "a\ufeff/x.png",
    ],
)
def test_a_control_or_invisible_character_in_a_name_is_refused(name: str, images: Path):
    write_image(images / Path(name).with_suffix(".png"), 9).rename(images / name)
    with pytest.raises(InputError) as refused:
        scan_classes(images)
    assert "invisible" in refused.value.expected and refused.value.hint
    assert str(refused.value).isprintable()


@pytest.mark.parametrize("name", ["", "x" * 100_000, "細" * 100, "a\u202eb", "a\nb"])
def test_no_class_has_a_name_that_no_folder_could_have(name: str):
    assert not is_class_name(name)


def test_joiners_that_a_script_needs_are_kept(images: Path):
    for name in ("می\u200cخواهم", "क्\u200dष", "\U0001f468\u200d\U0001f52c"):
        write_image(images / name / "1.png", 9)
    assert len(scan_classes(images).class_names) == 5


def test_a_pipe_named_as_an_image_is_not_missed_in_silence(images: Path):
    os.mkfifo(images / "a/pipe.png")
    with pytest.raises(InputError) as error:
        scan_classes(images)
    assert error.value.subject.endswith("a/pipe.png") and "pipe" in error.value.found


def test_an_image_that_is_a_link_to_nothing_is_not_missed_in_silence(images: Path):
    (images / "a/linked.png").symlink_to("elsewhere.png")
    for read in (scan_classes, image_paths):
        with pytest.raises(InputError) as error:
            read(images)
        assert error.value.subject.endswith("a/linked.png") and "elsewhere.png" in error.value.found


class TestMasks:
    def test_a_mask_belongs_to_the_image_of_the_same_path_whatever_its_suffix(self, images: Path, tmp_path: Path):
        mask = write_mask(tmp_path / "masks/b/p1_001.bmp")
        found = find_masks(tmp_path / "masks", scan_classes(images))
        assert found == Masks({"b/p1_001.png": mask}, unused=(), without=("b/p0_000.png",))

    def test_without_a_folder_there_are_none(self, images: Path, tmp_path: Path):
        assert find_masks(tmp_path / "masks", scan_classes(images)) == Masks({}, (), ())

    def test_two_masks_for_one_image_are_refused(self, images: Path, tmp_path: Path):
        write_mask(tmp_path / "masks/a/p0_000.png")
        write_mask(tmp_path / "masks/a/p0_000.bmp")
        with pytest.raises(InputError) as error:
            find_masks(tmp_path / "masks", scan_classes(images))
        assert error.value.expected == "one mask for each image" and "p0_000.bmp" in error.value.found

    def test_masks_that_fit_no_image_are_refused_with_the_name_they_need(self, images: Path, tmp_path: Path):
        write_mask(tmp_path / "masks/a/p0_000_mask.png")
        with pytest.raises(InputError) as error:
            find_masks(tmp_path / "masks", scan_classes(images))
        assert "a/p0_000.png" in error.value.expected and "a/p0_000_mask.png" in error.value.found

    def test_class_folders_that_are_links_are_followed_as_those_of_the_images_are(self, images: Path, tmp_path: Path):
        write_mask(tmp_path / "elsewhere/p1_001.png")
        (tmp_path / "masks").mkdir()
        (tmp_path / "masks/b").symlink_to(tmp_path / "elsewhere")
        found = find_masks(tmp_path / "masks", scan_classes(images))
        assert found.paths == {"b/p1_001.png": tmp_path / "masks/b/p1_001.png"}

    def test_masks_of_no_image_and_images_without_one_are_listed(self, images: Path, tmp_path: Path):
        for name in ("b/p0_000", "b/p9_009"):
            write_mask(tmp_path / f"masks/{name}.png")
        found = find_masks(tmp_path / "masks", scan_classes(images))
        # A class of which none has a mask, as of the uninfected, lacks nothing.
        assert (found.unused, found.without) == (("b/p9_009.png",), ("b/p1_001.png",))

    def test_most_masks_of_no_image_are_refused_with_a_name_as_it_is_and_as_it_should_be(
        self, images: Path, tmp_path: Path
    ):
        for name in ("a/p0_000", "b/p0_000_mask", "b/p1_001_mask"):
            write_mask(tmp_path / f"masks/{name}.png")
        with pytest.raises(InputError) as error:
            find_masks(tmp_path / "masks", scan_classes(images), "cells")
        assert error.value.subject == "cells" and "b/p0_000.png" in error.value.expected
        assert error.value.found == "2 of 3 masks that belong to no image, such as b/p0_000_mask.png"

    def test_a_mask_with_a_control_character_in_its_name_is_refused(self, images: Path, tmp_path: Path):
        write_mask(tmp_path / "masks/b/p\r.png")
        with pytest.raises(InputError, match="control characters"):
            find_masks(tmp_path / "masks", scan_classes(images))
