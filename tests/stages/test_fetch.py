"""Stage `fetch`, from what is on this machine; from outside: test_fetch_outside.py."""

import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from PIL import Image

from tests.images.made_classes import write_classes, write_mask
from wheretolook.base.files import sha256_of

sys.path.insert(0, str(Path(__file__).parents[2] / "stages"))
from fetch import fetch

SYNTHETIC = {
    "source": "synthetic",
    "images_per_class": "4",
    "size": "32",
    "seed": "0",
    "shortcut_class": "infected",
    "shortcut_share": "0.5",
}


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)


def run(options: dict[str, str]) -> Result:
    words = [word for name, value in options.items() for word in (f"--{name}", value)]
    return CliRunner().invoke(fetch, words, catch_exceptions=False)


def hashes(folder: str) -> dict[str, str]:
    paths = [path for path in Path(folder).rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): sha256_of(path) for path in paths}


def test_synthetic_cells_are_rendered_into_class_folders_with_masks():
    result = run(SYNTHETIC)
    assert result.exit_code == 0
    assert result.output.splitlines() == [
        "fetch: synthetic images into data/raw",
        "fetch: 8 images of infected, uninfected, in data/raw",
    ]
    assert len(list(Path("data/raw/images/infected").iterdir())) == 4
    assert len(list(Path("data/raw/masks/uninfected").iterdir())) == 4


def test_the_same_options_give_the_same_bytes_and_another_seed_others():
    run(SYNTHETIC | {"raw": "first"})
    run(SYNTHETIC | {"raw": "second"})
    run(SYNTHETIC | {"raw": "third", "seed": "1"})
    assert hashes("first") == hashes("second")
    assert not set(hashes("first").items()) & {item for item in hashes("third").items() if "images" in item[0]}


def test_a_folder_takes_the_place_of_what_was_fetched_before():
    run(SYNTHETIC)
    source = write_classes(Path("source"), {"a": 2, "b": 2})
    write_mask(source / "masks/a/p0_000.png")
    result = run({"source": "folder", "path": "source/images", "masks": "source/masks"})
    assert result.output.splitlines()[-1] == (
        "fetch: 4 images of a, b, in data/raw; 1 image without a mask in classes that have masks, such as a/p1_001.png"
    )
    assert {name.split("/")[1] for name in hashes("data/raw")} == {"a", "b"}
    assert Path("data/raw/masks/a/p0_000.png").is_file()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"source": "tape"}, "'tape' is not one of 'synthetic', 'folder', 'archive', 'drive'"),
        ({"images_per_class": "2"}, "2 is not in the range x>=3"),
        ({"size": "many"}, "'many' is not a valid integer"),
        ({"shortcut_class": "sick"}, "'sick' is not one of 'infected', 'uninfected'"),
        ({"shortcut_share": "1.5"}, "1.5 is not in the range 0<=x<=1"),
        ({"path": "cells"}, "source: synthetic: expected only the parameters images_per_class, size, seed"),
    ],
)
def test_bad_options_are_refused_before_anything_is_written(change: dict[str, str], message: str):
    result = run(SYNTHETIC | change)
    assert result.exit_code != 0 and message in result.output
    assert not Path("data").exists()


def test_a_misspelt_option_is_named_with_the_nearest():
    result = run(SYNTHETIC | {"sede": "1"})
    assert result.exit_code == 2 and "No such option" in result.output and "--seed" in result.output


def test_a_missing_option_is_named():
    options = {name: value for name, value in SYNTHETIC.items() if name != "seed"}
    assert "found no seed" in run(options).output


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ({"a": 1}, "at least two class folders, found one, a"),
        ({}, "source/images: expected a folder with one folder of images for each class, found no folder at /"),
    ],
)
def test_a_folder_that_cannot_be_used_is_refused_and_the_old_data_stay(counts: dict[str, int], message: str):
    run(SYNTHETIC)
    before = hashes("data/raw")
    write_classes(Path("source"), counts)
    result = run({"source": "folder", "path": "source/images", "masks": ""})
    assert result.exit_code == 1 and message in result.output
    assert hashes("data/raw") == before
    assert {path.name for path in Path("data").iterdir()} == {"raw", ".raw.written"}


def test_masks_of_no_image_are_reported_and_refused_if_most_are():
    source = write_classes(Path("source"), {"a": 1, "b": 2})
    given = {"source": "folder", "path": "source/images", "masks": "source/masks"}
    for name in ("a/p0_000", "b/of_none"):
        write_mask(source / f"masks/{name}.png")
    assert run(given).output.endswith("in data/raw; 1 mask without an image, such as b/of_none.png\n")
    write_mask(source / "masks/b/p0_000_mask.png")
    result = run(given)
    assert result.exit_code == 1
    assert "source/masks: expected masks with the paths of their images, such as b/p0_0" in result.output


def test_files_that_are_left_behind_are_counted(tmp_path: Path) -> None:
    for name in ("a/1.png", "a/2.jfif", "b/1.png", "b/notes.txt", "b/scan.jp2", "b/Thumbs.db"):
        (tmp_path / "given" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8)).save(tmp_path / "given" / name, format="JPEG" if "jfif" in name else "PNG")
    said = run({"source": "folder", "path": "given", "masks": ""}).output
    expected = "; 2 files without an image suffix, ignored, such as b/notes.txt\n"
    assert said.endswith(f"3 images of a, b, in data/raw{expected}")
