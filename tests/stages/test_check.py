"""Stage `check`: what a stage would refuse hours later, whatever its data, is refused before anything runs."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from ruamel.yaml import YAML

from tests.pipeline.code_dependencies import ROOT, STAGES
from wheretolook.base.errors import InputError
from wheretolook.project.check_values import check_values
from wheretolook.project.params_file import load_params

sys.path.insert(0, str(STAGES))
from check import check

SYNTHETIC = {"images_per_class": 3, "size": 32, "seed": 0, "shortcut_class": "infected", "shortcut_share": 0}
ARCHIVE = {"source": "archive", "path": "cells.zip", "sha256": "", "root": "", "masks": ""}
FOLDER = {"source": "folder", "path": "cells", "masks": ""}
ENTRY = {"id": "1AbC", "sha256": "0" * 64}
FOREIGN = {"architecture": "resnet18", "classes": ["a", "b"], "input_size": 112}


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def write_params(**sections: dict[str, Any]) -> None:
    """The project's own params.yaml with some values changed; `fetch` is replaced, as its options hang together."""
    params = YAML(typ="safe").load(ROOT / "params.yaml")
    for section, values in sections.items():
        params[section] = values if section == "fetch" else params[section] | values
    YAML().dump(params, Path("params.yaml"))


def run(**sections: dict[str, Any]) -> Result:
    write_params(**sections)
    return CliRunner().invoke(check, [], catch_exceptions=False)


def refused(**sections: dict[str, Any]) -> InputError:
    write_params(**sections)
    with pytest.raises(InputError) as error:
        check_values(load_params(Path("params.yaml")))
    return error.value


def test_the_projects_own_parameters_are_taken_and_the_models_named() -> None:
    assert run().exit_code == 0
    assert json.loads(Path("reports/names.json").read_text(encoding="utf-8"))["trained"][0] == "last-0"


@pytest.mark.parametrize(
    "sections",
    [
        {"fetch": {"source": "folder", "path": "cells", "masks": ""}},
        {"fetch": ARCHIVE},
        {"test_sets": {"clinic_b": {"fetch": FOLDER, "prepare": {"group_pattern": "^(P)"}}}},
        {"fetch": {"source": "synthetic"} | SYNTHETIC},
        {"prepare": {"group_pattern": "^(C\\d+)", "mask_values": ""}},
        {"models": {"x": {"loss": "last", "seed": 0, "architecture": "resnet18"}}},
        {"export": {"layers": "block3, block4", "methods": ["scorecam", "gradcam++"]}},
        {"drive": {"x": ENTRY}},
        {"drive": {"x": ENTRY | FOREIGN}},
        {"drive": {"x": ENTRY | FOREIGN | {"fit": "pad"}}},
        {"prepare": {"size": 16}, "train": {"depth": 4}},
        {"prepare": {"size": 16}, "train": {"architecture": "resnet18", "depth": 10}},
    ],
)
def test_what_the_stages_take_is_taken(sections: dict[str, Any]) -> None:
    result = run(**sections)
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize(
    ("sections", "subject", "found"),
    [
        ({"train": {"epohcs": 3}}, "train: unknown key 'epohcs' of stage train", "did you mean 'epochs'?"),
        ({"train": {"augmnet": False}}, "train: unknown key 'augmnet' of stage train", "did you mean 'augment'?"),
        (
            {"models": {"x": {"loss": "last", "seed": 0, "widht": 4}}},
            "models.x: unknown key 'widht' of stage train",
            "did you mean 'width'?",
        ),
        (
            {"drive": {"x": ENTRY | {"sha265": ""}}},
            "drive.x: unknown key 'sha265' of stage sync",
            "did you mean 'sha256'?",
        ),
        ({"score": {"resample": 9}}, "score: unknown key 'resample' of stage score", "did you mean 'resamples'?"),
        (
            {"prepare": {"qqq": 1}},
            "prepare: unknown key 'qqq' of stage prepare",
            "it takes fit, group_pattern, mask_values, on_bad_image, on_leak, rare",
        ),
    ],
)
def test_a_misspelt_key_is_named_with_its_section_and_the_nearest_parameter(
    sections: dict[str, Any], subject: str, found: str
) -> None:
    error = refused(**sections)
    assert error.subject.startswith(f"params.yaml: {subject}") and found in error.hint


@pytest.mark.parametrize(
    ("sections", "subject", "found"),
    [
        ({"export": {"methods": ["cam", "gradcma"]}}, "export: methods", "'gradcma'"),
        ({"export": {"layers": "block3,"}}, "export: layers 'block3,'", "the name ''"),
        ({"export": {"layers": "layer4.conv1"}}, "export: layers 'layer4.conv1'", "the name 'layer4.conv1'"),
        (
            {"models": {"x": {"loss": "last", "seed": 0, "architecture": "resnet999"}}},
            'train and models.x: architecture "resnet999"',
            "an unknown name",
        ),
        (
            {"train": {"architecture": "LookNet"}},
            'train and models.last-0: architecture "LookNet"',
            "an unknown name",
        ),
        ({"prepare": {"mask_values": "junk"}}, "prepare: mask_values", "'junk'"),
        (
            {"prepare": {"group_pattern": "("}},
            "prepare.group_pattern '('",
            "an error in it (missing ), unterminated subpattern at positi",
        ),
        ({"prepare": {"group_pattern": "C"}}, "prepare.group_pattern 'C'", "none"),
        ({"prepare": {"val_share": 0.6, "test_share": 0.6}}, "prepare.val_share and prepare.test_share", "0.6 and 0.6"),
        (
            {"fetch": {"source": "folder", "masks": ""}},
            "fetch with source: folder",
            "no path",
        ),
        (
            {"fetch": {"source": "folder"} | SYNTHETIC},
            "fetch with source: folder",
            "images_per_class, size, seed, shortcut_class, shortcut_share",
        ),
        ({"fetch": ARCHIVE | {"sha256": "abc"}}, "fetch.sha256", "'abc'"),
        ({"drive": {"x": {"sha256": ""}}}, "drive.x", "none"),
        ({"drive": {"x": ENTRY | {"sha256": "abc"}}}, "drive.x.sha256", "'abc'"),
        (
            {"drive": {"x": ENTRY | {"architecture": "resnet18"}}},
            "drive.x",
            "no classes, input_size",
        ),
        (
            {"drive": {"x": ENTRY | {"architecture": "resnet999", "classes": "a,b", "input_size": 112}}},
            'drive.x: architecture "resnet999"',
            "an unknown name",
        ),
        ({"train": {"epochs": 0}}, "train and models.last-0: Invalid value for '--epochs': 0 is not in the", ""),
        ({"train": {"weights": "DEFAULT"}}, "train and models.last-0: looknet", '"DEFAULT"'),
        *(
            ({section: {key: word}}, f"{where}: Invalid value for '--{key}': {word} is not a finite number", "")
            for section, key, word, where in (
                ("compare", "margin", "nan", "compare"),
                ("prepare", "val_share", "nan", "prepare"),
                ("train", "learning_rate", "inf", "train and models.last-0"),
                ("train", "weight_decay", "nan", "train and models.last-0"),
            )
        ),
        ({"fetch": ARCHIVE | {"timeout": 9}}, "fetch.timeout", "a setting of the run"),
        ({"train": {"device": "cpu"}}, "train.device", "a setting of the run"),
        ({"train": {"epochs": 2**70}}, "train.epochs", "a larger one"),
        ({"fetch": {"source": "folder", "path": "data/raw/mine", "masks": ""}}, "fetch: folder: path", "data/raw/mine"),
        (
            {"fetch": {"source": "folder", "path": "x", "masks": "x/../data/raw"}},
            "fetch: folder: masks",
            "x/../data/raw",
        ),
        ({"fetch": ARCHIVE | {"path": "data/raw/cells.zip"}}, "fetch: archive: path", "data/raw/cells.zip"),
        ({"drive": {"x": {"url": "models/x.safetensors", "sha256": ""}}}, "drive.x: url", "models/x.safetensors"),
        ({"drive": {"x": ENTRY | FOREIGN | {"input_size": 224}}}, "drive.x: input_size", "224"),
        (
            {"drive": {"x": ENTRY | FOREIGN | {"architecture": "looknet"}}},
            "drive.x: looknet",
            "{}",
        ),
        (
            {"drive": {"x": ENTRY | FOREIGN | {"arguments": "width"}}},
            "drive.x: arguments",
            "'width'",
        ),
        ({"train": {"depth": 7}}, "train and models.last-0: looknet of depth 7", "112"),
        ({"models": {"x": {"loss": "last", "seed": 0, "depth": 7}}}, "train and models.x: looknet of depth 7", "112"),
        ({"train": {"epochs": [7, 8]}}, "train.epochs", "the list [7, 8]"),
        ({"models": {"x": {"loss": ["last"], "seed": 0}}}, "models.x.loss", "the list ['last']"),
        ({"train": {"precision": []}}, "train.precision", "the list []"),
        *(({"train": {"augment": value}}, "train.augment", repr(value)) for value in ("yes", "spin", 1)),
        ({"train": {"epochs": True}}, "train.epochs", "true"),
        ({"prepare": {"fit=pad": 1}}, "prepare", "the key 'fit=pad'"),
        ({"fetch": {"raw=/home/me": True}}, "fetch", "the key 'raw=/home/me'"),
        ({"prepare": {"$(reboot)": 1}}, "prepare", "the key '$(reboot)'"),
        ({"train": {"no-augment": True}}, "train", "the key 'no-augment'"),
        ({"drive": {"x": ENTRY | FOREIGN | {"classes": [0, 1, 10]}}}, "drive.x.classes", "a number, 0"),
        ({"drive": {"x": ENTRY | {"id": 123}}}, "drive.x.id", "a number, 123"),
        ({"fetch": ARCHIVE | {"root": 2020.0}}, "fetch.root", "a number, 2020.0"),
        ({"drive": {"x": ENTRY | FOREIGN | {"classes": [f"{i:090}" for i in range(1_400)]}}}, "drive.x", "141,526"),
        (
            {"drive": {"x": ENTRY | FOREIGN | {"classes": "@none.txt"}}},
            "drive.x: Invalid value for '--classes': expected a UTF-8 text file wit",
            "",
        ),
        ({"prepare": {"group_pattern": "^C\\d'"}}, "prepare.group_pattern '^C\\d'''", "none"),
        ({"models": {"x" * 101: {"loss": "last", "seed": 0}}}, "models", "of 101"),
        ({"test_sets": {"a-b": {"fetch": FOLDER, "prepare": {}}}}, "test_sets", "the name 'a-b'"),
        ({"test_sets": {"a": FOLDER}}, "test_sets.a", "source, path, masks"),
        ({"test_sets": {"a": {"fetch": FOLDER}}}, "test_sets.a", "fetch"),
        ({"test_sets": {"a": {"fetch": FOLDER | {"root": ""}, "prepare": {}}}}, "test_sets.a.fetch: ", "root"),
        ({"test_sets": {"a": {"fetch": FOLDER, "prepare": {"size": 64}}}}, "test_sets.a.prepare", "size 64"),
        (
            {"test_sets": {"a": {"fetch": FOLDER, "prepare": {"szie": 64}}}},
            "test_sets.a.prepare: unknown key 'szie'",
            "size",
        ),
        (
            {"test_sets": {"a": {"fetch": FOLDER | {"path": "data/tests/a"}, "prepare": {}}}},
            "test_sets.a.fetch: ",
            "data/tests",
        ),
        ({"fetch": FOLDER | {"test_set": "a"}}, "fetch.test_set", "a setting of the run"),
    ],
)
def test_what_a_stage_would_refuse_is_refused_by_the_key_in_params_yaml(
    sections: dict[str, Any], subject: str, found: str
) -> None:
    error = refused(**sections)
    assert error.subject.startswith(f"params.yaml: {subject}")
    assert found in (error.found or error.hint or error.expected)


def test_one_message_names_the_place_and_nothing_is_written() -> None:
    result = run(train={"epochs": [7, 8]})
    assert result.exit_code == 1 and not Path("reports").exists()
    assert "\nError: params.yaml: train.epochs: expected one value, found the list [7, 8]. Write" in result.output


def test_ten_thousand_class_names_come_from_a_file() -> None:
    Path("names.txt").write_text("".join(f"class {i}, with a comma\n" for i in range(10_000)), encoding="utf-8")
    result = run(drive={"x": ENTRY | FOREIGN | {"classes": "@names.txt"}})
    assert result.exit_code == 0, result.output
    Path("names.txt").write_text("one\none\n", encoding="utf-8")
    result = run(drive={"x": ENTRY | FOREIGN | {"classes": "@names.txt"}})
    assert result.exit_code == 1 and "drive.x: classes: expected at least two unique names" in result.output


def test_means_may_be_numbers() -> None:
    result = run(drive={"x": ENTRY | FOREIGN | {"mean": [0.5, 0.5, 0.5], "std": [1, 1, 1]}})
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize("folder", ["data", "models", "reports/exports"])
def test_a_folder_of_outputs_that_is_a_link_is_refused_with_dvcs_way(folder: str, tmp_path: Path) -> None:
    Path(folder).parent.mkdir(exist_ok=True)
    Path("far").mkdir()
    Path(folder).symlink_to(tmp_path / "far")
    result = run()
    assert result.exit_code == 1 and f"Error: {folder}: expected a folder of its own" in result.output
    assert "dvc cache dir" in result.output and "cache.type symlink" in result.output


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("# café".encode("latin-1"), "params.yaml: expected UTF-8 text, found another encoding at byte 6. Save it as"),
        ("# a".encode("utf-16"), "params.yaml: expected UTF-8 text, found another encoding at byte 1"),
        (
            b"a: " + b"1" * 5000,
            "params.yaml: expected valid numbers and dates, found Exceeds",
        ),
        (b"[" * 5000, "params.yaml: expected sections of values, found brackets nested too deeply"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused(content: bytes, message: str) -> None:
    Path("params.yaml").write_bytes(content)
    result = CliRunner().invoke(check, [], catch_exceptions=False)
    assert result.exit_code == 1 and f"\nError: {message}" in f"\n{result.output}", result.output


def test_a_missing_file_is_refused_and_a_folder_in_its_place_too() -> None:
    done = CliRunner().invoke(check, [])
    assert done.exit_code == 1
    assert "params.yaml: expected the pipeline's values, found no such file" in done.output
    Path("params.yaml").mkdir()
    assert "params.yaml: expected a file, found a folder; move it away" in CliRunner().invoke(check, []).output


def test_torchvision_is_loaded_only_for_its_own_networks() -> None:
    write_params()
    code = "import sys; sys.path.insert(0, sys.argv[1]); from check import check\n"
    code += "check([], standalone_mode=False); print('torchvision' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", code, str(STAGES)], capture_output=True, text=True, check=True)
    assert out.stdout.splitlines()[-1] == "False"
