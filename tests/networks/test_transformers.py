"""Image classifiers of transformers: built from a folder's config.json, trained, stored, explained and imported back.

The families are skipped where transformers is not installed; a stand-in covers the code that calls it.
"""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from tests.networks.made_models import small_card
from wheretolook.base.errors import InputError
from wheretolook.cams.explain import explain
from wheretolook.importing.foreign_fit import convert_state
from wheretolook.networks.architectures import Architecture, code_of, parse_architecture
from wheretolook.networks.checkpoint import build_network, check_architecture, load_model, save_model
from wheretolook.networks.layers.layer import wrapped_arguments
from wheretolook.training.objective import Objective

HF = "hf/networks/tiny"
SIZE = 64
TOKENS = {
    "hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 64, "patch_size": 8,
}  # fmt: skip
STAGES = {"hidden_sizes": [16, 24, 32, 48], "depths": [1, 1, 1, 1]}
WINDOWS = {"embed_dim": 16, "depths": [1, 1, 2], "num_heads": [2, 2, 2], "window_size": 4}
PYRAMID = {"hidden_sizes": [16, 32, 40, 64], "depths": [1, 1, 1, 1]}
FAMILIES: dict[str, dict[str, Any]] = {
    "vit": TOKENS,
    "deit": TOKENS,
    "beit": TOKENS,
    "data2vec-vision": TOKENS,
    "vit_msn": TOKENS,
    "ijepa": TOKENS,
    "dinov2": TOKENS,
    "dinov2_with_registers": TOKENS,
    "resnet": STAGES | {"embedding_size": 16},
    "regnet": PYRAMID | {"embedding_size": 16, "hidden_sizes": [16, 32, 48, 64], "groups_width": 8},
    "bit": {"embedding_size": 32, "hidden_sizes": [32, 64, 96, 128], "depths": [1, 1, 1, 1], "num_groups": 8},
    "convnext": STAGES,
    "convnextv2": STAGES,
    "poolformer": STAGES,
    "swin": WINDOWS,
    "swinv2": WINDOWS,
    "focalnet": {"embed_dim": 16, "depths": [1, 1, 1, 1]},
    "pvt": PYRAMID,
    "pvt_v2": PYRAMID,
    "segformer": PYRAMID,
    "mobilenet_v1": {"depth_multiplier": 0.25},
    "mobilenet_v2": {"depth_multiplier": 0.35},
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "networks" / "tiny").mkdir(parents=True)
    return tmp_path / "networks" / "tiny"


def write_config(folder: Path, **values: Any) -> None:
    (folder / "config.json").write_text(json.dumps({"image_size": SIZE} | values))


def stored(arguments: dict[str, Any], path: Path) -> nn.Module:
    network = build_network(HF, 3, arguments).eval()
    card = small_card(
        architecture=HF, arguments=arguments, layers=network.layer_names, class_names=("a", "b", "c"),
        trained_heads=network.layer_names[-1:], code=code_of(HF),
    )  # fmt: skip
    save_model(path, network, card)
    return network


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_trains_is_stored_explained_and_imported(family: str, folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    write_config(folder, model_type=family, **FAMILIES[family])
    torch.manual_seed(0)
    arguments = wrapped_arguments(HF, 3, {}, (), SIZE)
    images = torch.rand(2, 3, SIZE, SIZE)

    objective = Objective(build_network(HF, 3, arguments).train(), "every")
    objective(images).square().sum().backward()
    heads = objective.network.side_heads
    assert all(heads[layer].weight.grad is not None for layer in objective.layers[:-1])

    network = stored(arguments, tmp_path / "model.safetensors")
    loaded, card = load_model(tmp_path / "model.safetensors")
    logits = network(images)
    assert torch.equal(loaded(images), logits) and torch.equal(network.body(images).logits, logits)
    assert card.code is not None and list(card.code) == ["networks/tiny/config.json"]

    found = explain(loaded, images, ["gradcam"])
    assert all(np.isfinite(found["gradcam", layer]).all() for layer in card.layers)

    torch.save(network.body.state_dict(), tmp_path / "pytorch_model.bin")
    description = {
        "architecture": HF, "arguments": arguments, "class_names": ["a", "b", "c"], "input_size": SIZE,
        "mean": [0.5] * 3, "std": [0.5] * 3, "fit": None, "key": "",
    }  # fmt: skip
    convert_state(tmp_path / "pytorch_model.bin", "bin", tmp_path / "back.safetensors", description)
    assert torch.equal(load_model(tmp_path / "back.safetensors")[0](images), logits)


@dataclass(eq=False)
class Config:
    """A stand-in for a configuration of transformers."""

    model_type: str = "tiny"
    width: int = 4
    num_labels: int = 2
    architectures: list[str] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Its keys."""
        return {"model_type": self.model_type, "width": self.width}

    def update(self, values: dict[str, Any]) -> None:
        """Change some."""
        vars(self).update(values)


class Tiny(nn.Module):
    """A stand-in for a network of transformers; one of its tensors is not in the state dict."""

    def __init__(self, config: Config):
        super().__init__()
        self.convolution = nn.Conv2d(3, config.width, 8, 8)
        self.classifier = nn.Linear(config.width, config.num_labels)
        self.register_buffer("scale", torch.full((1,), 2.0), persistent=False)

    def forward(self, images: torch.Tensor) -> SimpleNamespace:
        """An object with the logits, beside others."""
        return SimpleNamespace(loss=None, logits=self.classifier(self.scale * self.convolution(images).mean((2, 3))))


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch, folder: Path) -> dict[str, Any]:
    """A module `transformers`; returns what its AutoConfig was called with."""
    calls: dict[str, Any] = {}

    def from_pretrained(place: str, **options: Any) -> Config:
        calls.update(options, place=place)
        return Config()

    monkeypatch.setitem(
        sys.modules,
        "transformers",
        SimpleNamespace(
            AutoConfig=SimpleNamespace(from_pretrained=from_pretrained),
            AutoModelForImageClassification=SimpleNamespace(from_config=lambda config, **options: Tiny(config)),
            MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING={Config: Tiny},
        ),
    )
    write_config(folder)
    return calls


def test_a_folder_needs_no_network_access_and_runs_no_code(stand_in: dict[str, Any], tmp_path: Path) -> None:
    arguments = wrapped_arguments(HF, 3, {"width": 6}, (), SIZE)
    network = stored(arguments, tmp_path / "model.safetensors")
    assert (stand_in["place"], stand_in["local_files_only"], stand_in["trust_remote_code"]) == (
        "networks/tiny", True, False,
    )  # fmt: skip
    images = torch.rand(2, 3, SIZE, SIZE)
    assert network.layer_names == ("convolution",) and network.body.classifier.weight.shape == (3, 6)
    # `scale` is not in the file: the loaded network computes it.
    assert torch.equal(load_model(tmp_path / "model.safetensors")[0](images), network(images))


def test_a_name_may_have_a_revision(stand_in: dict[str, Any]) -> None:
    check_architecture("hf/someone/tiny@v1.0")
    assert (stand_in["place"], stand_in["revision"], stand_in["local_files_only"]) == ("someone/tiny", "v1.0", False)
    assert code_of("hf/someone/tiny") is None


def test_a_changed_config_is_refused(stand_in: dict[str, Any], folder: Path, tmp_path: Path) -> None:
    stored(wrapped_arguments(HF, 3, {}, (), SIZE), tmp_path / "model.safetensors")
    write_config(folder, hidden_size=1)
    with pytest.raises(InputError) as refused:
        load_model(tmp_path / "model.safetensors")
    assert "networks/tiny/config.json" in refused.value.found


def test_an_unknown_key_of_the_config_is_refused(stand_in: dict[str, Any]) -> None:
    with pytest.raises(InputError) as refused:
        wrapped_arguments(HF, 3, {"depth": 6}, (), SIZE)
    assert refused.value.found == "depth" and "width" in refused.value.expected


@pytest.mark.parametrize("text", ["hf/x", "hf/", "hf/../x", "hf//etc", "hf/a/b/c", "hf/a/b@", "hf/networks"])
def test_what_is_neither_a_folder_nor_a_name_is_refused(text: str) -> None:
    with pytest.raises(InputError):
        parse_architecture(text)


def test_a_folder_comes_before_a_name_of_hugging_face(folder: Path) -> None:
    assert parse_architecture(HF) == Architecture("hf", "networks/tiny")
    write_config(folder)
    assert parse_architecture(HF) == Architecture("hf", "networks/tiny", "networks/tiny/config.json")


def test_without_transformers_the_command_that_installs_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(InputError) as refused:
        check_architecture("hf/microsoft/resnet-18")
    assert "uv pip install transformers" in refused.value.hint
