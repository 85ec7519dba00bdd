"""Small model files for tests of what comes from outside."""

from pathlib import Path

import torch

from wheretolook.networks.card import Card
from wheretolook.networks.checkpoint import save_model
from wheretolook.networks.layered import LookNet

FOREIGN = ["--architecture", "looknet", "--arguments", "width=4,depth=2", "--classes", "infected",
           "--classes", "uninfected", "--input_size", "32"]  # fmt: skip
# The same entry, as the quarantine reads it.
DESCRIPTION = {
    "architecture": "looknet", "arguments": {"width": 4, "depth": 2}, "class_names": ["infected", "uninfected"],
    "input_size": 32, "mean": [0.5, 0.5, 0.5], "std": [0.2, 0.2, 0.2], "fit": None, "key": "",
}  # fmt: skip


def small_network(seed: int = 0) -> LookNet:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return LookNet(2, width=4, depth=2).eval()


def small_card(**changes: object) -> Card:
    fields = {
        "architecture": "looknet",
        "arguments": {"width": 4, "depth": 2},
        "class_names": ("infected", "uninfected"),
        "input_size": 32,
        "mean": (0.5, 0.5, 0.5),
        "std": (0.2, 0.2, 0.2),
        "loss": "last",
        "layers": ("block1", "block2"),
        "trained_heads": ("block2",),
        "data": {"sha256": "0" * 64, "images": 10},
        "training": {"seed": 0},
        "history": [],
    }
    return Card(**(fields | changes))


def write_model(path: Path, seed: int = 0) -> Path:
    save_model(path, small_network(seed), small_card())
    return path


def foreign_state(seed: int = 0) -> dict[str, torch.Tensor]:
    """The weights of a network of the same make, without the heads that only ours has."""
    return {k: v for k, v in small_network(seed).state_dict().items() if not k.startswith("side_heads.")}
