"""Small data and options to train on within a second."""

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import torch

from wheretolook.base.prepared import Prepared
from wheretolook.networks.card import Card
from wheretolook.networks.layered import Network
from wheretolook.networks.runtime.processes import Ranks
from wheretolook.params.train_options import TrainOptions
from wheretolook.training.train_network import train_network

COLOURS = [(250, 90, 90), (90, 250, 90), (90, 90, 250), (250, 250, 90), (90, 250, 250)]
ALONE = Ranks(0, 1, 0, torch.device("cpu"))
OPTIONS = TrainOptions(
    architecture="looknet",
    width=4,
    depth=2,
    loss="last",
    seed=0,
    epochs=2,
    batch_size=8,
    learning_rate=0.01,
    weight_decay=0.01,
    augment=True,
    precision="float32",
    keep="best",
    class_weights="none",
    weights="random",
)


def prepared(count: int = 40, size: int = 16, classes: int = 2) -> Prepared:
    """Grey noise; class k bears a square of its colour somewhere. One image in four validates."""
    stream = np.random.default_rng(3)
    images = stream.integers(90, 130, (count, size, size, 3), dtype=np.uint8)
    labels = np.arange(count) % classes
    for image, label in zip(images, labels, strict=True):
        row, column = stream.integers(0, size - 5, 2)
        image[row : row + 5, column : column + 5] = COLOURS[label]
    names = tuple(f"class{k}" for k in range(classes))
    index = pd.DataFrame(
        {
            "image_id": [f"{names[k]}/{i:04d}.png" for i, k in enumerate(labels)],
            "class_name": [names[k] for k in labels],
            "class_index": labels,
            "split": ["val" if i // classes % 4 == 3 else "train" for i in range(count)],
        }
    )
    return Prepared(images, None, index, names, "0" * 64)


def train(data: Prepared, options: TrainOptions, cache: Path | None = None) -> tuple[Network, Card]:
    """Train on the CPU; the states of what is not done lie in `cache`, or in a folder that is removed."""
    with TemporaryDirectory() as scratch:
        return train_network(data, options, ALONE, "tiny", cache or Path(scratch), lambda line: None)


def card(network: Network, **changes: object) -> Card:
    """A card that fits a looknet of width 4 and depth 2."""
    plain = Card(
        architecture="looknet",
        arguments={"width": 4, "depth": 2},
        class_names=("cat", "dog"),
        input_size=16,
        mean=(0.5, 0.4, 0.3),
        std=(0.2, 0.2, 0.1),
        loss="last",
        layers=network.layer_names,
        trained_heads=network.layer_names[-1:],
        data={"sha256": "0" * 64, "images": 12},
        training={"seed": 0},
        history=[],
    )
    return replace(plain, **changes)
