"""Small worlds with a known truth, and networks built by hand that decide in a known way."""

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from wheretolook.analysis.explained import Target
from wheretolook.analysis.probing.effects import Probed
from wheretolook.analysis.probing.model_faithfulness import run
from wheretolook.base.prepared import EVIDENCE, FOREGROUND
from wheretolook.networks.card import Card

SIDE, GRID, BLOB = 32, 8, 4
HUES = ((200, 120, 140), (140, 120, 200))  # of a thing of class 0, and of class 1, where hue tells them apart
CARD = Card(
    architecture="looknet",
    arguments={},
    class_names=("sick", "well"),
    input_size=SIDE,
    mean=(0.5, 0.5, 0.5),
    std=(0.25, 0.25, 0.25),
    loss="last",
    layers=("block1",),
    trained_heads=("block1",),
    data={},
    training={},
    history=[],
)


class ByHue(nn.Module):
    """Decides by red less blue of the whole image."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(40.0))

    def forward(self, images: Tensor) -> Tensor:
        logit = self.scale * (images[:, 0] - images[:, 2]).mean((1, 2))
        return torch.stack([logit, -logit], dim=1)


class ByBlob(nn.Module):
    """Decides by the darkest square of the size of a blob."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(4.0))

    def forward(self, images: Tensor) -> Tensor:
        green = nn.functional.avg_pool2d(images[:, 1:2], BLOB, stride=1)
        logit = self.scale * (-0.8 - green.amin((1, 2, 3)))
        return torch.stack([logit, -logit], dim=1)


def world(
    network: nn.Module, hue: bool, blobs: tuple[bool, bool], masked: tuple[bool, bool], count: int = 24
) -> Probed:
    """Round things on grey, with a dark blob on those of some classes.

    Args:
        network: that is probed.
        hue: whether the classes differ in hue.
        blobs: of which class things bear a blob.
        masked: of which class the masks have it.
        count: images of each class.
    """
    generator = np.random.default_rng(0)
    labels = np.arange(2 * count) % 2
    pictures, masks = np.full((2 * count, SIDE, SIDE, 3), 120, np.uint8), np.zeros((2 * count, SIDE, SIDE), np.uint8)
    thing = np.hypot(*(np.indices((SIDE, SIDE)) - (SIDE - 1) / 2)) < 14
    for picture, mask, label in zip(pictures, masks, labels, strict=True):
        colour = np.array(HUES[label if hue else generator.integers(2)])
        picture[thing] = np.clip(colour + generator.normal(0, 6, (thing.sum(), 3)), 0, 255)
        mask[thing] = FOREGROUND
        y, x = generator.integers(8, SIDE - 8 - BLOB, 2)
        if blobs[label]:
            picture[y : y + BLOB, x : x + BLOB] //= 4
        if masked[label]:
            mask[y : y + BLOB, x : x + BLOB] = EVIDENCE
    rows = np.arange(2 * count)
    found = Probed(rows, pictures, masks, labels, rows, CARD.class_names, np.zeros((0, 2)), network.eval(), CARD)
    return replace(found, whole=run(network, CARD, pictures))


def dark_maps(probed: Probed) -> tuple[str, str, Target]:
    """Maps of class 0, cell by cell as dark as the image is: those of a network that looks for blobs."""
    green = probed.pictures[..., 1].reshape(len(probed.rows), GRID, SIDE // GRID, GRID, SIDE // GRID).mean((2, 4))
    dark = (255 - green).astype(np.float32)
    return "cam", "block1", Target(np.stack([dark, -dark], axis=1), probed.labels, True)
