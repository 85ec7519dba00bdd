import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result

from stages.train import train
from tests.networks.small import prepared as small_data
from wheretolook.base.files import sha256_of
from wheretolook.networks.card import read_card
from wheretolook.networks.checkpoint import load_model

PLAIN = {
    "architecture": "looknet",
    "width": 4,
    "depth": 2,
    "loss": "last",
    "seed": 0,
    "epochs": 1,
    "batch_size": 8,
    "learning_rate": 0.01,
    "weight_decay": 0.01,
    "precision": "float32",
    "keep": "best",
    "class_weights": "none",
    "weights": "random",
    "device": "cpu",
}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, data = tmp_path_factory.mktemp("prepared"), small_data()
    np.save(folder / "images.npy", data.images)
    index = data.index.assign(group="", width=16, height=16, sha256="0" * 64)
    index.to_csv(folder / "index.csv", index=False)
    hashes = {name: sha256_of(folder / name) for name in ("images.npy", "index.csv")}
    (folder / "audit.json").write_text(json.dumps({"sha256": hashes, "class_names": data.class_names}))
    return folder


def run(prepared: Path, models: Path, *more: str, without: str = "", **changes: object) -> Result:
    options = [f"--{name}={value}" for name, value in (PLAIN | changes).items() if name != without]
    places = [f"--prepared={prepared}", f"--models={models}", f"--cache={models / 'cache'}"]
    return CliRunner().invoke(train, ["tiny", *options, "--no-augment", *places, *more])


def test_a_model_file_is_written_and_the_device_is_said_aloud(prepared: Path, tmp_path: Path):
    result = run(prepared, tmp_path)
    assert result.exit_code == 0, result.output
    assert re.search(r"^train tiny: 30 images, 1 epoch, on cpu \(\d+ thread", result.output)
    assert re.search(r"looknet, loss last, 30 images, best of 1 epochs: 1, validation loss \d", result.output)
    assert read_card(tmp_path / "tiny.safetensors").class_names == ("class0", "class1")


def test_the_line_at_the_end_is_of_the_epoch_that_is_kept(prepared: Path, tmp_path: Path):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("wheretolook.training.objective.best_epoch", lambda history: history[0])
        for keep, epoch in {"best": 1, "last": 3}.items():
            result = run(prepared, tmp_path, keep=keep, epochs=3)
            loss = read_card(tmp_path / "tiny.safetensors").history[epoch - 1]["val_loss"]
            assert f"{keep} of 3 epochs: {epoch}, validation loss {loss:.4f}" in result.output


def test_of_an_option_given_twice_the_later_wins(prepared: Path, tmp_path: Path):
    assert run(prepared, tmp_path, "--loss=every", "--epochs=2", "--augment").exit_code == 0
    card = read_card(tmp_path / "tiny.safetensors")
    assert (card.loss, len(card.history), card.training["augment"]) == ("every", 2, True)


@pytest.mark.parametrize("name", [name for name in PLAIN if name != "device"])
def test_an_option_that_is_left_out_is_an_error(prepared: Path, tmp_path: Path, name: str):
    result = run(prepared, tmp_path, without=name)
    assert result.exit_code == 2
    assert f"Missing option '--{name}'" in result.output


def test_augmentation_must_be_chosen(prepared: Path, tmp_path: Path):
    options = [f"--{name}={value}" for name, value in PLAIN.items()]
    result = CliRunner().invoke(train, ["tiny", *options])
    assert result.exit_code == 2
    assert "Missing option '--augment'" in result.output


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epochs": 0}, "Invalid value for '--epochs': 0 is not in the range x>=1"),
        ({"learning_rate": 0}, "0.0 is not in the range x>0"),
        ({"loss": "both"}, "'both' is not one of 'last', 'every'"),
        ({"batch_size": "many"}, "'many' is not a valid integer range"),
        ({"device": "abacus"}, 'device "abacus": expected one of'),
        ({"architecture": "resnet19"}, 'architecture "resnet19": expected looknet, or a network'),
        ({"learning_rate": 1e30}, "expected a finite loss, found NaN or infinity in block2 for class"),
    ],
)
def test_a_wrong_option_is_refused_without_a_traceback(prepared: Path, tmp_path: Path, changes: dict, message: str):
    result = run(prepared, tmp_path, **{"epochs": 2} | changes)
    assert result.exit_code in (1, 2)
    assert message in " ".join(result.output.split())
    assert isinstance(result.exception, SystemExit)
    assert not list(tmp_path.glob("*.safetensors*"))


def test_a_misspelt_option_names_the_nearest(prepared: Path, tmp_path: Path):
    result = run(prepared, tmp_path, "--epoch=3")
    assert result.exit_code == 2
    assert "No such option" in result.output
    assert "--epochs" in result.output.split("Did you mean")[1]


def test_without_prepared_data_the_remedy_is_named(tmp_path: Path):
    result = run(tmp_path / "none", tmp_path)
    assert result.exit_code == 1
    assert "dvc repro" in result.output


def test_a_class_of_the_repository_is_trained_and_its_file_names_the_code(
    prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "networks").mkdir()
    code = "from torch import nn\n\ndef net(num_classes, width):\n    return nn.Sequential(nn.Conv2d(3, width, 3), "
    code += "nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, num_classes))\n"
    (tmp_path / "networks" / "tiny.py").write_text(code)
    monkeypatch.chdir(tmp_path)
    own = ["--architecture=networks/tiny.py:net", "--arguments=width=4", "--layers=1", "--epochs=1"]
    result = run(prepared, tmp_path, *own)
    assert result.exit_code == 0, result.output
    card = read_card(tmp_path / "tiny.safetensors")
    assert (card.layers, card.arguments["classifier"], list(card.code)) == (("1",), "4", ["networks/tiny.py"])
    assert load_model(tmp_path / "tiny.safetensors", torch.device("cpu"))[0].layer_names == ("1",)


def test_arguments_are_of_networks_that_are_not_the_projects(prepared: Path, tmp_path: Path):
    result = run(prepared, tmp_path, "--layers=block1")
    assert result.exit_code == 1
    assert "which only timm, transformers and your own networks take, found layers" in result.output
