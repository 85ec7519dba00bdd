"""The recipes of docs/add-a-network.md (a class, a name of timm, a checkpoint), as they are written there."""

import hashlib
import re
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner
from ruamel.yaml import YAML

from networks.talk import EveryLoss
from tests.networks.small import OPTIONS, prepared, train
from wheretolook.cams.explain import explain
from wheretolook.networks.checkpoint import load_model, save_model
from wheretolook.params.train_options import TrainOptions
from wheretolook.project.params_file import arguments

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "stages"))
from sync import sync  # noqa: E402
from train import wrapped_of  # noqa: E402


def block(section: str, language: str) -> str:
    """The first block of code in a section of the page."""
    page = (ROOT / "docs/add-a-network.md").read_text(encoding="utf-8")
    found = re.search(rf"\n## {section}\n.*?```{language}\n(.*?)```", page, re.DOTALL)
    assert found, section
    return found[1]


def entry(section: str, part: str) -> dict[str, Any]:
    """The values of the first entry that a section shows."""
    return dict(next(iter(YAML(typ="safe").load(block(section, "yaml"))[part].values())))


def trained(values: dict[str, Any], folder: Path, size: int) -> tuple[torch.nn.Module, Any]:
    """A model trained for one epoch as the stage does, from its file."""
    known = {key: value for key, value in asdict(OPTIONS).items() if key != "wrapped"}
    options = TrainOptions(**known | {"epochs": 1} | values)
    data = prepared(count=16, size=size)
    network, card = train(data, replace(options, wrapped=wrapped_of(options, 2, size)))
    save_model(folder / "model.safetensors", network, card)
    return load_model(folder / "model.safetensors")


def test_a_class(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "networks").mkdir()
    (tmp_path / "networks/mine.py").write_text(block("Your own class", "python"), encoding="utf-8")
    network, card = trained(entry("Your own class", "models"), tmp_path, 32)
    assert list(card.code) == ["networks/mine.py"]
    assert card.layers[-1] == "blocks"
    found = explain(network, torch.randn(2, 3, 32, 32), ["cam"], trained_heads=card.trained_heads)
    assert found["cam", "blocks"].shape == (2, 2, 2, 2)


def test_a_name_of_timm(tmp_path: Path) -> None:
    pytest.importorskip("timm")
    network, card = trained(entry("A timm network", "models"), tmp_path, 64)
    found = explain(network, torch.randn(2, 3, 64, 64), None, card.layers[-1:], trained_heads=card.trained_heads)
    assert [maps.shape[:2] for maps in found.maps.values()] == [(2, 2)]


def test_a_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    original = EveryLoss(2).eval()
    torch.save({"net_state_dict": original.state_dict(), "epoch": 12}, tmp_path / "best.pt")
    values = entry("A checkpoint", "drive")
    assert (values.pop("folder"), values.pop("file")) == ("1AbC...", "best.pt")
    values |= {
        "url": str(tmp_path / "best.pt"),
        "sha256": hashlib.sha256((tmp_path / "best.pt").read_bytes()).hexdigest(),
    }
    paths = ["--models", str(tmp_path / "models"), "--cache", str(tmp_path / "cache")]
    done = CliRunner().invoke(sync, ["talk", *arguments(values), *paths], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    network, card = load_model(tmp_path / "models/talk.safetensors")
    assert card.trained_heads == ("block1", "block2", "block3", "block4")
    images = torch.rand(2, 3, 128, 128)
    assert torch.equal(network(images), original(images))
