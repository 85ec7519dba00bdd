"""A made-up project whose model is a real, untrained network, and what running it finds."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from tests.analysis.made import make
from wheretolook.analysis.probing.probe import probe_model
from wheretolook.base.prepared import load_prepared
from wheretolook.mapstore.store import load_maps
from wheretolook.networks.card import read_card
from wheretolook.networks.checkpoint import build_network, save_model


def make_untrained(root: Path) -> Path:
    """Make the project; its one model is `last-0`."""
    make(root, names=("last-0",), per_class=60)
    torch.manual_seed(0)
    path = root / "models/last-0.safetensors"
    card = replace(read_card(path), arguments={"width": 4, "depth": 2})
    save_model(path, build_network("looknet", 2, card.arguments), card)
    return root


def probed(root: Path, images: int = 24, draws: int = 0, steps: int = 0) -> dict[str, Any]:
    """What `score` finds by running the network."""
    maps, data = load_maps(root / "data/cams/last-0"), load_prepared(root / "data/prepared")
    model, cache = root / "models/last-0.safetensors", root / "cache"
    return probe_model(model, maps, data, "cpu", images, steps, draws, 0, 199, 0, cache)
