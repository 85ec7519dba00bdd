"""From stored images to what a network reads, and the normalisation that leads there."""

import numpy as np
import torch
from torch import Tensor

from wheretolook.networks.card import Card

Channels = tuple[float, float, float]


def to_device(tensor: Tensor, device: torch.device) -> Tensor:
    """The tensor, from the CPU, on `device`; to CUDA by way of pinned memory, so that the CPU need not wait for it."""
    if device.type != "cuda":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)


def to_input(images: Tensor, mean: Channels, std: Channels) -> Tensor:
    """Normalised network input.

    Args:
        images: (N, S, S, 3) uint8 RGB.
        mean: of each channel, of values in 0..1.
        std: of each channel, of values in 0..1.

    Returns:
        (N, 3, S, S) float32 on the images' device, (value / 255 - mean) / std; in channels-last memory, the order
        in which the images are stored and in which convolutions are fastest.
    """
    scale = to_device(torch.tensor([1 / (255 * s) for s in std]), images.device)
    offset = to_device(torch.tensor([m / s for m, s in zip(mean, std, strict=True)]), images.device)
    return images.to(torch.float32).mul_(scale).sub_(offset).permute(0, 3, 1, 2)


def model_input(card: Card, images: np.ndarray | Tensor, device: torch.device) -> Tensor:
    """Images as a model reads them: `to_input` with the normalisation of its card, on `device`.

    Args:
        card: of the model.
        images: (N, S, S, 3) RGB of values 0 to 255, on the CPU.
        device: of the network.
    """
    return to_input(to_device(torch.as_tensor(images), device), card.mean, card.std)


def channel_statistics(images: np.ndarray, rows: np.ndarray, block: int = 256) -> tuple[Channels, Channels]:
    """Mean and standard deviation of each channel over the chosen images, of values in 0..1.

    Reads the images block by block, so that memory stays flat; sums are of integers, so that their order is free.

    Args:
        images: (N, S, S, 3) uint8, may be memory-mapped.
        rows: (n,) indices of the images that count, n >= 1.
        block: images read at a time.

    Returns:
        Mean and standard deviation; a channel that never varies has the standard deviation 1 / 255.
    """
    total, squares = np.zeros(3, dtype=np.int64), np.zeros(3, dtype=np.int64)
    for start in range(0, len(rows), block):
        values = images[np.sort(rows[start : start + block])].reshape(-1, 3)
        total += values.sum(axis=0, dtype=np.int64)
        squares += np.square(values, dtype=np.uint16).sum(axis=0, dtype=np.int64)
    count = len(rows) * images.shape[1] * images.shape[2]
    mean = total / count
    std = np.sqrt(np.maximum(squares / count - mean**2, 1.0))
    return tuple((mean / 255).tolist()), tuple((std / 255).tolist())
