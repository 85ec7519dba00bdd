"""Which stage makes a model's maps again depends on where the model came from."""

import json
from pathlib import Path

import pytest

from wheretolook.base.errors import NAMES, repro_command

PLACES = ("data/cams/{}", "data/cams/{}/manifest.json", "reports/exports/{}.json")


def write_names(root: Path, text: str) -> None:
    (root / NAMES).parent.mkdir(parents=True, exist_ok=True)
    (root / NAMES).write_text(text, encoding="utf-8")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_names(tmp_path, json.dumps({"models": ["last-0", "fetched"], "trained": ["last-0"], "drive": ["fetched"]}))
    return tmp_path


@pytest.mark.parametrize("place", PLACES)
def test_a_model_from_drive_has_stages_of_its_own(root: Path, place: str) -> None:
    assert repro_command(root / place.format("fetched")) == 'run "dvc repro -sf export-drive@fetched"'
    assert repro_command(root / place.format("last-0")) == 'run "dvc repro -sf export@last-0"'


def test_paths_below_the_working_folder_are_known_too(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root)
    assert repro_command(Path("reports/models/fetched.json"), "score") == 'run "dvc repro -sf score-drive@fetched"'
    assert repro_command(Path("models/fetched.safetensors"), "train") == 'run "dvc repro -sf sync@fetched"'


BOTH = 'run "dvc repro -sf export@other", or of a model from Drive "dvc repro -sf export-drive@other"'


@pytest.mark.parametrize("text", ['{"models": ["last-0"], "drive": []}', "{", "[]", '{"models": 1, "drive": null}'])
def test_where_the_origin_is_unknown_both_are_named(tmp_path: Path, text: str) -> None:
    assert repro_command(tmp_path / "data/cams/other") == BOTH
    write_names(tmp_path, text)
    assert repro_command(tmp_path / "data/cams/other") == BOTH
