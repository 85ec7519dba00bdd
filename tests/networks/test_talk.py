"""The two networks of networks/talk.py: their shapes, and their checkpoints from a file to maps of every block."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from wheretolook.cams.explain import explain
from wheretolook.importing.foreign_fit import convert_state
from wheretolook.networks.architectures import parse_architecture
from wheretolook.networks.bare_networks import build_bare
from wheretolook.networks.checkpoint import load_model
from wheretolook.networks.layers.layer import wrapped_arguments

LAST, EVERY = "networks/talk.py:LastLoss", "networks/talk.py:EveryLoss"
BLOCKS = ("block1", "block2", "block3", "block4")
IMAGES = torch.rand(2, 3, 128, 128, generator=torch.Generator().manual_seed(0))


@pytest.fixture(autouse=True)
def in_the_repository(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(__file__).parents[2])


def bare(architecture: str) -> nn.Module:
    torch.manual_seed(1)
    network = build_bare(parse_architecture(architecture), 2, {})
    network(IMAGES)  # statistics of the batch normalisation that are not those of a fresh network
    return network.eval()


def checkpoint(network: nn.Module) -> dict:
    optimizer = torch.optim.Adam(network.parameters(), lr=0.1)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, 1)
    return {
        "net_state_dict": network.state_dict(),
        "optim_state_dict": optimizer.state_dict(),
        "scheduler_state_dict": schedule.state_dict(),
        "best_val_acc": np.float64(0.97),
        "epoch": 12,
    }


def brought_in(architecture: str, network: nn.Module, folder: Path) -> tuple[nn.Module, object]:
    torch.save(checkpoint(network), folder / "talk.pt")
    description = {
        "architecture": architecture,
        "arguments": wrapped_arguments(architecture, 2, {}, BLOCKS, 128),
        "class_names": ["infected", "uninfected"],
        "input_size": 128,
        "mean": [0.0, 0.0, 0.0],
        "std": [1.0, 1.0, 1.0],
        "fit": None,
        "key": "",
    }
    convert_state(folder / "talk.pt", "talk.pt", folder / "talk.safetensors", description)
    return load_model(folder / "talk.safetensors", torch.device("cpu"))


@pytest.mark.parametrize("architecture", [LAST, EVERY])
def test_a_checkpoint_keeps_its_logits_and_is_explained_at_every_block(architecture: str, tmp_path: Path) -> None:
    original = bare(architecture)
    network, card = brought_in(architecture, original, tmp_path)
    assert torch.equal(network(IMAGES), original(IMAGES))
    assert card.layers == BLOCKS and list(card.code) == ["networks/talk.py"]
    found = explain(network, IMAGES, ["cam", "activation"], trained_heads=card.trained_heads)
    sides = {layer: maps.shape[2] for (method, layer), maps in found.items() if method == "activation"}
    assert sides == {"block1": 64, "block2": 32, "block3": 16, "block4": 8}
    of_cam = {layer for method, layer in found if method == "cam"}
    assert of_cam == (set(BLOCKS) if architecture == EVERY else {"block4"})


def test_a_loss_on_every_block_gives_heads_whose_maps_add_up_to_its_logits(tmp_path: Path) -> None:
    original = bare(EVERY)
    network, card = brought_in(EVERY, original, tmp_path)
    assert (card.loss, card.trained_heads) == ("every", BLOCKS)
    with torch.no_grad():
        logits = torch.stack(list(network.layer_logits(IMAGES).values()))
        assert torch.allclose(logits, original.every(IMAGES), atol=1e-5)
