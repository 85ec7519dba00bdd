"""Layouts of folders as people have them, as a folder, a zip, a tar and a Drive listing: read right, or refused."""

import unicodedata
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.sources.archives import write_tar, write_zip
from wheretolook.base.errors import InputError
from wheretolook.base.prepared import load_prepared
from wheretolook.images.scan import Scan, scan_classes
from wheretolook.params.prepare_options import PrepareOptions
from wheretolook.prepare.prepare_images import prepare
from wheretolook.sources.archive import plan_unpacking, unpack
from wheretolook.sources.archive_entries import Entry
from wheretolook.sources.folder import copy_class_folders

NFC, NFD = (unicodedata.normalize(form, "Café") for form in ("NFC", "NFD"))
AB = ("a/1.png", "a/2.png", "b/1.png", "b/2.png")
OPTIONS = PrepareOptions(16, "stretch", "", "0:background", 0.25, 0.25, 0, "refuse", "error")


def below(folder: str, names: tuple[str, ...] = AB) -> tuple[str, ...]:
    return tuple(f"{folder}/{name}" for name in names)


# Files; then the expected classes and splits.
READ = {
    "class folders": (AB, "ab", ()),
    "one folder around them": (below("data"), "ab", ()),
    "a readme beside them": ((*AB, "README.md"), "ab", ()),
    "classes in parts": (("a/2020/1.png", "a/2021/1.png", "b/1.png", "b/2.png"), "ab", ()),
    "only train": (below("train"), "ab", ()),
    "train and test": ((*below("train"), *below("test")), "ab", ("test", "train")),
    "all three, in other words": (
        (*below("Training"), *below("Validation"), *below("TEST")),
        "ab",
        ("test", "train", "val"),
    ),
    "train and dev": ((*below("train"), *below("dev")), "ab", ("train", "val")),
    "splits in a folder": ((*below("d/train"), *below("d/valid"), *below("d/testing")), "ab", ("test", "train", "val")),
    "splits of classes in parts": (("train/a/x/1.png", "train/b/1.png", *below("test")), "ab", ("test", "train")),
    "a composed and a decomposed name": (
        (f"train/{NFC}/1.png", f"test/{NFD}/1.png", "train/b/1.png", "test/b/1.png"),
        (NFC, "b"),
        ("test", "train"),
    ),
    "decomposed names": ((f"{NFD}/{NFD}.png", "b/1.png"), (NFC, "b"), ()),
    "a class named as a split": (("test/1.png", "a/1.png", "b/1.png"), ("a", "b", "test"), ()),
    "odd names": (tuple(f"{name}/1.png" for name in ("*", "NA", "<b>x", "1e5", "名前 空白")),
                  ("*", "1e5", "<b>x", "NA", "名前 空白"), ()),
    "what systems leave behind": ((*AB, "lost+found/x.png", "a/Icon\r", "@eaDir/1.png", "a/Thumbs.db"), "ab", ()),
}  # fmt: skip

# Files; then parts of `found` and `hint` of the error.
REFUSED = {
    "loose images beside train": ((*below("train"), "1.png"), "loose images", "class folders"),
    "a flat test": ((*below("train"), "test/1.png", "test/2.png"), "in no class folder", "train"),
    "flat splits": (("train/1.png", "test/1.png"), "in no class folder", "class folders"),
    "a split beside class folders": ((*below("train"), "c/1.png"), "beside", "fetch."),
    "another folder beside train": ((*below("train"), *below("train_extra", ("c/1.png",))), "beside", "fetch."),
    "a class in test only": ((*below("train"), *below("test", ("unknown/1.png",))), "'unknown'", "train"),
    "another spelling": ((*below("train"), *below("test", ("A/1.png", "B/1.png"))), "'A' in place of 'a'", "'a'"),
    "two folders of one split": ((*below("train"), *below("val"), *below("valid")), "val and", "rename"),
    "nothing to train on": ((*below("val"), *below("test")), "val", "rename"),
    "another kind of image": (("a/1.png", "b/1.pgm", "b/2.pgm"), ".pgm", "PNG"),
    "another kind in a split": ((*below("train"), "test/a/1.png", "test/b/1.pgm"), ".pgm", "PNG"),
    "class folders beside images": (("photos/oak/1.png", "photos/elm/1.png", "figures/1.png"), "folders", "photos"),
}


@pytest.fixture(scope="session")
def picture(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("picture") / "1.png"
    Image.new("L", (4, 4), 9).save(path)
    return path.read_bytes()


def read(source: str, names: tuple[str, ...], picture: bytes, folder: Path) -> Scan:
    """What stage `fetch` reads of these files."""
    raw = folder / "raw"
    if source == "folder":
        for name in names:
            path = folder / "source" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(picture)
        return copy_class_folders(folder / "source", None, raw)
    entries = [(name.replace("\r", "_"), picture) for name in names]
    if source == "drive":
        plan = plan_unpacking([Entry(name, 0, "file") for name, _ in entries], root="")
        for place in plan.paths.values():
            (raw / "images" / place).parent.mkdir(parents=True, exist_ok=True)
            (raw / "images" / place).write_bytes(picture)
    else:
        (write_zip if source == "zip" else write_tar)(folder / "archive", entries)
        unpack(folder / "archive", raw / "images", root="")
    return scan_classes(raw / "images")


@pytest.mark.parametrize("source", ["folder", "zip", "tar", "drive"])
@pytest.mark.parametrize("layout", READ)
def test_a_layout_is_read_right_from_every_source(layout: str, source: str, picture: bytes, tmp_path: Path):
    names, classes, splits = READ[layout]
    if layout == "classes in parts" and source != "folder":
        with pytest.raises(InputError, match="folders of folders"):
            read(source, names, picture, tmp_path)
        return
    scan = read(source, names, picture, tmp_path)
    assert (scan.class_names, scan.splits) == (tuple(sorted(classes)), splits)
    kept = scan_classes(tmp_path / "raw/images")
    assert [(file.image_id, file.split) for file in kept.files] == [(file.image_id, file.split) for file in scan.files]
    assert all((tmp_path / "raw/images" / file.image_id).is_file() for file in kept.files)


@pytest.mark.parametrize("source", ["folder", "zip", "tar", "drive"])
@pytest.mark.parametrize("layout", REFUSED)
def test_a_layout_is_refused_with_the_remedy(layout: str, source: str, picture: bytes, tmp_path: Path):
    names, found, remedy = REFUSED[layout]
    if layout == "class folders beside images" and source != "folder":
        found = remedy = "photos"
    with pytest.raises(InputError) as refused:
        read(source, names, picture, tmp_path)
    error = refused.value
    assert found in (error.found or str(error)) and remedy in (error.hint or str(error))
    assert not (tmp_path / "raw").exists()


def write_splits(folder: Path, splits: dict[str, int], groups: int = 4) -> Path:
    stream = np.random.default_rng(0)
    for split, count in splits.items():
        for name in "ab":
            for number in range(count):
                path = folder / "images" / split / name / f"p{number % groups}_{number}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(stream.integers(0, 255, (16, 16, 3), np.uint8)).save(path)
    return folder


def test_official_splits_are_kept_exactly(tmp_path: Path):
    raw = write_splits(tmp_path / "raw", {"Train": 5, "valid": 3, "testing": 4})
    audit = prepare(raw, tmp_path / "prepared", OPTIONS)
    index = load_prepared(tmp_path / "prepared").index
    of_folder = {"Train": "train", "valid": "val", "testing": "test"}
    assert [of_folder[name.split("/")[0]] for name in index["image_id"]] == list(index["split"])
    assert index["class_name"].tolist() == [name.split("/")[1] for name in index["image_id"]]
    assert audit["official_splits"]["kept"] == ["test", "train", "val"] and audit["official_splits"]["drawn"] == []


@pytest.mark.parametrize(("present", "drawn"), [("test", ["val"]), ("val", ["test"])])
def test_a_split_that_no_folder_holds_is_drawn_from_train_by_group(present: str, drawn: list[str], tmp_path: Path):
    raw = write_splits(tmp_path / "raw", {"train": 16, present: 4})
    audit = prepare(raw, tmp_path / "prepared", PrepareOptions(**{**vars(OPTIONS), "group_pattern": r"^(p\d)"}))
    index = load_prepared(tmp_path / "prepared").index
    folder = index["image_id"].str.partition("/")[0]
    assert set(index["split"][folder == present]) == {present}
    assert set(index["split"][folder == "train"]) == {"train", drawn[0]}
    assert index[folder == "train"].groupby("group")["split"].nunique().max() == 1
    assert audit["official_splits"]["drawn"] == drawn
    # The groups of both folders have the same names: reported, and the official splits are kept.
    assert audit["official_splits"]["leaks"]["groups"]["count"] == 4


def test_a_class_that_test_lacks_is_rare_and_can_be_dropped(tmp_path: Path):
    raw = write_splits(tmp_path / "raw", {"train": 8, "test": 4})
    for number in range(4):
        path = raw / "images/train/c" / f"{number}.png"
        path.parent.mkdir(exist_ok=True)
        Image.new("L", (8, 8), number).save(path)
    with pytest.raises(InputError, match=r"c \(none in test\)"):
        prepare(raw, tmp_path / "prepared", OPTIONS)
    audit = prepare(raw, tmp_path / "prepared", PrepareOptions(**{**vars(OPTIONS), "rare_classes": "drop"}))
    assert audit["class_names"] == ["a", "b"] and list(audit["dropped_classes"]) == ["c"]


def test_masks_of_splits_and_of_decomposed_names_belong_to_their_images(tmp_path: Path):
    for name in (f"train/{NFD}", f"test/{NFD}", "train/b", "test/b"):
        for kind, form in (("images", NFD), ("masks", NFC)):
            path = tmp_path / "source" / kind / name.replace(NFD, form) / "1.png"
            path.parent.mkdir(parents=True)
            Image.new("L", (8, 8), 0).save(path)
    scan = copy_class_folders(tmp_path / "source/images", tmp_path / "source/masks", tmp_path / "raw")
    assert scan.splits == ("test", "train") and scan.class_names == (NFC, "b")
    assert (tmp_path / "raw/masks/train" / NFC / "1.png").is_file()


def test_one_name_in_two_forms_is_one_file_and_not_two(tmp_path: Path):
    for form in (NFC, NFD):
        path = tmp_path / "source" / form / "1.png"
        path.parent.mkdir(parents=True)
        Image.new("L", (8, 8), 0).save(path)
    if len(list((tmp_path / "source").iterdir())) == 1:
        pytest.skip("this file system keeps one form")
    with pytest.raises(InputError) as refused:
        copy_class_folders(tmp_path / "source", None, tmp_path / "raw")
    assert refused.value.expected == "one file of each name"


@pytest.mark.parametrize(("most", "bits", "levels"), [(4095, 12, 17), (1023, 10, 5), (399, 9, 3), (65535, None, None)])
def test_the_audit_says_how_many_grey_levels_are_left(most: int, bits: int | None, levels: int | None, tmp_path: Path):
    for row, name in enumerate(["a"] * 6 + ["b"] * 6):
        path = tmp_path / "raw/images" / name / f"{row}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.array([[0] * row + [5, most]], np.uint16)).save(path)
    audit = prepare(tmp_path / "raw", tmp_path / "prepared", OPTIONS)
    expected = {"images": 12, "bits": bits, "levels": levels} if bits else None
    assert audit.get("depth") == expected
