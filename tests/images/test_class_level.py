"""Images that lie deeper than one folder for each class: gone down to, or refused with what to write instead."""

from pathlib import Path

import pytest

from tests.images.made_classes import write_image
from tests.sources.archives import tree, write_zip
from wheretolook.base.errors import InputError
from wheretolook.images.class_level import class_level
from wheretolook.images.scan import scan_classes
from wheretolook.sources.archive import unpack
from wheretolook.sources.folder import copy_class_folders


def level(*names: str) -> tuple[str, list[str]]:
    found = class_level(tuple(name.split("/")) for name in names)
    return "/".join(found.head), list(found.nested)


@pytest.mark.parametrize(
    ("names", "head", "nested"),
    [
        (["a/1.png", "b/1.png"], "", []),
        (["images/a/1.png", "images/b/1.JPG"], "images", []),
        (["w/images/a/1.png", "readme.txt", "notes/x.txt"], "w/images", []),
        (["images/a/1.png", "loose.png"], "images", []),
        (["a/1.png", "a/more/2.png"], "", []),
        (["a/1.png", "a/more/2.png", "b/1.png"], "", []),
        (["images/a/1.png", "masks/a/1.png"], "", ["images", "masks"]),
        (["w/train/a/1.png", "w/test/a/1.png"], "w", ["test", "train"]),
        (["a/1.png", "b/slide/1.png"], "", ["b"]),
        (["readme.txt", "1.png"], "", []),
        (["a/b.png/1.png"], "a", []),
    ],
)
def test_the_only_folder_of_folders_is_gone_down_and_others_are_named(names: list[str], head: str, nested: list[str]):
    assert level(*names) == (head, nested)


def test_the_time_does_not_grow_with_the_number_of_folders():
    """Reading each path once for each folder would take minutes for a million images in a thousand folders."""
    reads = 0

    class Counted(tuple):
        def __getitem__(self, place):
            nonlocal reads
            reads += 1
            return tuple.__getitem__(self, place)

    found = class_level(Counted((f"class {n % 200}", f"slide {n}", "1.png")) for n in range(1000))
    assert len(found.nested) == 200 and len(found.nested["class 7"]) == 5
    assert reads < 20 * 1000


def archive(path: Path, *names: str) -> Path:
    return write_zip(path / "a.zip", [(name, b"x") for name in names])


def test_an_archive_of_images_and_masks_says_what_to_write_for_both(tmp_path: Path):
    path = archive(tmp_path, "w/images/a/1.bmp", "w/images/b/1.bmp", "w/masks/a/1.png", "w/masks/b/1.png")
    with pytest.raises(InputError) as error:
        unpack(path, tmp_path / "raw", root="")
    assert error.value.subject == str(path) and "w/images, w/masks" in error.value.found
    for setting in ("`fetch.root: w/images`", "`fetch.masks: w/masks`", "`fetch.root: w`"):
        assert setting in error.value.hint
    assert not (tmp_path / "raw").exists()


@pytest.mark.parametrize(("root", "first"), [("w", "images/a/1.bmp"), (".", "w/images/a/1.bmp")])
def test_a_root_that_is_named_is_taken_at_its_word(root: str, first: str, tmp_path: Path):
    path = archive(tmp_path, "w/images/a/1.bmp", "w/masks/a/1.png")
    unpack(path, tmp_path / "raw", root=root)
    assert min(tree(tmp_path / "raw")) == first


def test_folders_of_parts_of_the_data_are_left_to_choose_from(tmp_path: Path):
    path = archive(tmp_path, "one/a/1.png", "two/a/1.png")
    with pytest.raises(InputError) as error:
        unpack(path, tmp_path / "raw", root="")
    assert "one, two" in error.value.found
    assert "`fetch.root` to one of these" in error.value.hint and "`fetch.root: .`" in error.value.hint


def test_a_file_beside_the_only_folder_does_not_hide_the_classes(tmp_path: Path):
    path = archive(tmp_path, "licence.txt", "w/images/a/1.png", "w/images/b/1.png", "w/readme.md")
    unpack(path, tmp_path / "raw", root="")
    assert set(tree(tmp_path / "raw")) == {"a/1.png", "b/1.png"}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    for seed, name in enumerate(("a/1", "b/1")):
        write_image(tmp_path / "source/images" / f"{name}.png", seed)
    return tmp_path / "source"


def test_a_folder_with_one_folder_of_class_folders_is_gone_down(source: Path, tmp_path: Path):
    copy_class_folders(source, None, tmp_path / "raw")
    assert [file.image_id for file in scan_classes(tmp_path / "raw/images").files] == ["a/1.png", "b/1.png"]


def test_a_folder_of_images_and_masks_says_what_to_write_for_both(source: Path, tmp_path: Path):
    for name in ("a/1", "b/1"):
        write_image(source / "masks" / f"{name}.png", 9)
    with pytest.raises(InputError) as error:
        copy_class_folders(source, None, tmp_path / "raw")
    assert f"set `fetch.path: {source}/images` and `fetch.masks: {source}/masks`" in error.value.hint


def test_classes_whose_images_lie_by_slide_stay_classes(tmp_path: Path):
    for seed, name in enumerate(("benign/s1/1", "benign/s2/1", "malignant/s2/1", "malignant/s3/1")):
        write_image(tmp_path / "source" / f"{name}.png", seed)
    copy_class_folders(tmp_path / "source", None, tmp_path / "raw")
    assert scan_classes(tmp_path / "raw/images").class_names == ("benign", "malignant")
