"""Prepared images and model files, made up in milliseconds."""

import io
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from tests.cams.small import livened
from wheretolook.base.files import sha256_of, write_json
from wheretolook.base.prepared import Prepared, load_prepared
from wheretolook.networks.card import Card
from wheretolook.networks.checkpoint import build_network, save_model
from wheretolook.networks.layered import Network

SIZE = 32


def write_prepared(folder: Path, class_names: tuple[str, ...] = ("cat", "dog"), count: int = 10) -> Prepared:
    """Images of noise, SIZE pixels, their classes in turn."""
    folder.mkdir(parents=True)
    images = np.random.default_rng(0).integers(0, 256, (count, SIZE, SIZE, 3), dtype=np.uint8)
    np.save(folder / "images.npy", images)
    index = np.arange(count) % len(class_names)
    table = pd.DataFrame(
        {
            "image_id": [f"{class_names[k]}/{i}.png" for i, k in enumerate(index)],
            "class_name": [class_names[k] for k in index],
            "class_index": index,
            "split": "test",
            "group": "",
            "width": SIZE,
            "height": SIZE,
            "sha256": "0" * 64,
        }
    )
    text = io.StringIO()
    table.to_csv(text, index=False)
    (folder / "index.csv").write_text(text.getvalue(), encoding="utf-8")
    hashes = {name: sha256_of(folder / name) for name in ("images.npy", "index.csv")}
    write_json(folder / "audit.json", {"class_names": list(class_names), "sha256": hashes})
    return load_prepared(folder)


def write_model(
    path: Path, class_names: tuple[str, ...] = ("cat", "dog"), loss: str = "last", size: int = SIZE
) -> Network:
    """A looknet of three blocks with random weights; with loss "every" all heads are random, too."""
    torch.manual_seed(0)
    network = livened(build_network("looknet", len(class_names), {"width": 4, "depth": 3})).eval()
    for head in network.side_heads.values() if loss == "every" else []:
        torch.nn.init.normal_(head.weight)
        torch.nn.init.normal_(head.bias)
    card = Card(
        architecture="looknet",
        arguments={"width": 4, "depth": 3},
        class_names=class_names,
        input_size=size,
        mean=(0.5, 0.5, 0.5),
        std=(0.25, 0.25, 0.25),
        loss=loss,
        layers=network.layer_names,
        trained_heads=network.layer_names if loss == "every" else network.layer_names[-1:],
        data={"sha256": "0" * 64, "images": 6},
        training={"seed": 7},
        history=[],
    )
    save_model(path, network, card)
    return network
