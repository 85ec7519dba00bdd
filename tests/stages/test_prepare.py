"""Stage `prepare`."""

import json
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.images.made_classes import MASK_VALUES, write_classes, write_image, write_mask
from wheretolook.base.prepared import load_prepared
from wheretolook.networks.card import LARGEST_INPUT

sys.path.insert(0, str(Path(__file__).parents[2] / "stages"))
from prepare import prepare

OPTIONS = {
    "size": "16",
    "fit": "stretch",
    "group_pattern": "",
    "mask_values": "",
    "val_share": "0.2",
    "test_share": "0.2",
    "seed": "0",
    "rare_classes": "refuse",
    "on_bad_image": "error",
}


@pytest.fixture(autouse=True)
def raw(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return write_classes(Path("data/raw"), {"a": 10, "b": 10})


def run(**change: str) -> Result:
    words = [word for name, value in (OPTIONS | change).items() for word in (f"--{name}", value)]
    return CliRunner().invoke(prepare, words, catch_exceptions=False)


def test_it_writes_what_can_be_loaded_and_says_how_much():
    result = run()
    assert result.exit_code == 0
    assert result.output.splitlines() == [
        "prepare: images of data/raw, each 16 x 16 pixels by stretch",
        "prepare: 20 of 20 images (12 train, 4 val, 4 test); found: nothing odd",
    ]
    assert load_prepared(Path("data/prepared")).images.shape == (20, 16, 16, 3)


def test_what_was_found_is_said_in_one_line(raw: Path):
    (raw / "images/a/p3_003.png").write_bytes(b"")
    (raw / "images/a/twin.png").write_bytes((raw / "images/a/p0_000.png").read_bytes())
    (raw / "images/a/other.png").write_bytes((raw / "images/b/p0_000.png").read_bytes())
    write_image(raw / "images/c/only.png", 99)
    result = run(on_bad_image="skip", rare_classes="drop")
    assert (
        "found: 1 unreadable, 2 duplicates, 2 with equal pixels in another class, 1 of dropped classes" in result.output
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"fit": "zoom"}, "'zoom' is not one of 'stretch', 'pad', 'crop'"),
        ({"size": "8"}, "8 is not in the range 16<=x<=2048"),
        ({"val_share": "0"}, "0 is not in the range 0<x<1"),
        ({"test_share": "1"}, "1.0 is not in the range 0<x<1"),
        ({"val_share": "0.5", "test_share": "0.5"}, "a sum below 1"),
        ({"rare_classes": "keep"}, "'keep' is not one of 'refuse', 'drop'"),
        ({"on_bad_image": "ignore"}, "'ignore' is not one of 'error', 'skip'"),
        ({"group_pattern": "^(C"}, "a regular expression"),
        ({"mask_values": "0:cell"}, "expected VALUE:LABEL"),
    ],
)
def test_bad_options_are_refused_before_anything_is_written(change: dict[str, str], message: str):
    result = run(**change)
    assert result.exit_code != 0 and message in result.output and "Traceback" not in result.output
    assert not Path("data/prepared").exists()


@pytest.mark.parametrize("name", OPTIONS)
def test_every_option_is_required(name: str):
    words = [word for key, value in OPTIONS.items() if key != name for word in (f"--{key}", value)]
    result = CliRunner().invoke(prepare, words)
    assert result.exit_code == 2 and f"Missing option '--{name}'" in result.output


def test_no_raw_data_is_refused():
    assert "expected a folder with one folder of images for each class" in run(raw="elsewhere").output


def test_it_makes_images_as_large_as_a_models_input_may_be_and_no_larger():
    size = next(parameter for parameter in prepare.params if parameter.name == "size")
    assert size.type.max == LARGEST_INPUT


def test_masks_of_no_image_and_images_that_lack_one_are_counted(raw: Path):
    for name in ("p0_000", "p1_001", "of_none"):
        write_mask(raw / f"masks/a/{name}.png")
    result = run(mask_values=MASK_VALUES)
    assert result.output.endswith(
        "found: 1 masks that belong to no image, 8 without a mask in classes that have masks\n"
    )
    names = json.loads(Path("data/prepared/audit.json").read_text())["mask_names"]
    assert names["of_no_image"] == {"count": 1, "examples": ["a/of_none.png"]}
    assert names["missing"]["count"] == 8 and names["missing"]["examples"][0] == "a/p2_002.png"


def test_one_class_of_which_each_image_has_a_mask_is_nothing_odd(raw: Path):
    for image in (raw / "images/a").iterdir():
        write_mask(raw / "masks/a" / image.name)
    assert run(mask_values=MASK_VALUES).output.endswith("found: nothing odd\n")
    assert "mask_names" not in json.loads(Path("data/prepared/audit.json").read_text())
