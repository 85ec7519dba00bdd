"""Stage `score`, on made-up maps."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from tests.analysis.made import Made, make

sys.path.insert(0, str(Path(__file__).parents[2] / "stages"))
from score import score

OPTIONS = [
    "--faithfulness_images",
    "0",
    "--curve_steps",
    "0",
    "--sanity_draws",
    "0",
    "--stability_images",
    "0",
    "--resamples",
    "199",
    "--seed",
    "0",
]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make(tmp_path_factory.mktemp("score"), groups=40)


def result_of(made: Made, name: str) -> dict:
    run = CliRunner().invoke(score, [name, *OPTIONS, *made.score_paths], catch_exceptions=False)
    assert run.exit_code == 0, run.output
    return json.loads((made.root / "r" / f"{name}.json").read_text(encoding="utf-8"))


def test_result_has_every_section_and_map(made: Made) -> None:
    result = result_of(made, "every-0")
    assert set(result) >= {"format", "name", "model", "class_names", "layers", "heads", "history", "splits"}
    assert set(result["splits"]) == {"train", "val", "test"}
    assert set(result["splits"]["test"]["heads"]) == {"block1", "block2"}
    assert set(result["localisation"]) == {"cam.block1", "cam.block2", "gradcam.block1", "gradcam.block2"}
    assert result["foreground_estimated"] is None


def test_accuracy_and_energy_are_summed_up_by_group_on_every_split(made: Made) -> None:
    result = result_of(made, "last-0")
    assert set(result["groups"]) == {"train", "val", "test"}
    on_test = result["groups"]["test"]
    assert 30 <= on_test["groups"] <= 40
    assert on_test["accuracy"] == result["splits"]["test"]["accuracy"]
    energy, infected = on_test["energy"], result["localisation"]["cam.block2"]["test"]["infected"]
    assert energy["region"] == "evidence"
    assert energy["energy"] == pytest.approx(infected["energy"])
    assert energy["lowest"] == energy["worst"][0]["energy"] <= energy["energy"] <= energy["highest"]
    assert len(energy["worst"]) == len(on_test["worst"]) == 5


def test_maps_that_mark_the_evidence_have_many_times_its_area_in_energy(made: Made) -> None:
    infected = result_of(made, "last-0")["localisation"]["cam.block2"]["test"]["infected"]
    assert infected["area_share"] == pytest.approx(1 / 49)
    assert infected["energy_ratio"] > 4
    assert infected["pointing"] > 0.8 > 3 * infected["pointing_by_area"]
    assert infected["energy_low"] < infected["energy"] < infected["energy_high"] <= infected["energy_ceiling"]
    assert infected["mark_energy"] is None


def test_class_without_evidence_has_no_energy_inside(made: Made) -> None:
    uninfected = result_of(made, "last-0")["localisation"]["cam.block2"]["test"]["uninfected"]
    assert uninfected["evidence_images"] == 0
    assert uninfected["energy"] is None
    assert uninfected["foreground_area_share"] == pytest.approx(400 / 784)


def test_run_twice_writes_the_same_bytes(made: Made) -> None:
    first = result_of(made, "last-1")
    assert result_of(made, "last-1") == first


def test_maps_of_other_data_are_refused(tmp_path: Path) -> None:
    made = make(tmp_path, names=("last-0",), per_class=12)
    manifest = tmp_path / "data/cams/last-0/manifest.json"
    text = manifest.read_text(encoding="utf-8")
    found = json.loads(text)["data"]["sha256"]
    manifest.write_text(text.replace(found, "f" * 64), encoding="utf-8")
    run = CliRunner().invoke(score, ["last-0", *OPTIONS, *made.score_paths])
    assert run.exit_code == 1
    assert "expected maps of data" in run.output
    assert 'Run "dvc repro -sf export@last-0"' in run.output


def test_maps_with_a_nan_are_refused(tmp_path: Path) -> None:
    made = make(tmp_path, names=("last-0",), per_class=12)
    path = tmp_path / "data/cams/last-0/cam.block2.npy"
    maps = np.load(path)
    maps[3] = np.nan
    np.save(path, maps)
    run = CliRunner().invoke(score, ["last-0", *OPTIONS, *made.score_paths])
    assert run.exit_code == 1
    assert "edited or out of date" in run.output
