"""Maps, masks, images and a small network, made of numpy's generator alone, to share with peers."""

import numpy as np
import torch
from torch import nn

SIDE, CELLS, COUNT = 12, 4, 8
STEPS = 6
MEAN, STD = (0.5, 0.4, 0.3), (0.25, 0.2, 0.3)


class Shared:
    """The fixture.

    Attributes:
        maps: (n, 4, 4) float32, signed, without ties.
        fine: (n, 12, 12) float32, other such maps at the size of the images.
        masks: (n, 12, 12) bool, the region of each image.
        images: (n, 12, 12, 3) uint8.
        classes: (n,) int64.
        network: logits (n, 3) of normalised images (n, 3, 12, 12).
    """

    def __init__(self) -> None:
        rng = np.random.default_rng(20)
        self.maps = rng.normal(size=(COUNT, CELLS, CELLS)).astype(np.float32)
        self.fine = rng.normal(size=(COUNT, SIDE, SIDE)).astype(np.float32)
        self.masks = np.zeros((COUNT, SIDE, SIDE), bool)
        for mask, (y, x) in zip(self.masks, rng.integers(0, 8, (COUNT, 2)), strict=True):
            mask[y : y + 5, x : x + 4] = True
        self.images = rng.integers(0, 256, (COUNT, SIDE, SIDE, 3), dtype=np.uint8)
        self.classes = rng.integers(0, 3, COUNT)
        self.network = nn.Sequential(nn.AvgPool2d(2), nn.Flatten(), nn.Linear(108, 16), nn.Tanh(), nn.Linear(16, 3))
        for weight in self.network.parameters():
            weight.data = torch.from_numpy(rng.normal(0, 0.5, weight.shape)).float()
        self.network.eval().requires_grad_(False)

    def inputs(self) -> torch.Tensor:
        """The images as the network takes them: (n, 3, 12, 12) float32."""
        scaled = (self.images / 255 - np.array(MEAN)) / np.array(STD)
        return torch.from_numpy(scaled).float().permute(0, 3, 1, 2)


def at_pixels(maps: np.ndarray) -> np.ndarray:
    """Maps (n, 4, 4) at the size of the images, each cell as it is: (n, 12, 12)."""
    return np.kron(maps, np.ones((SIDE // CELLS, SIDE // CELLS), maps.dtype))
