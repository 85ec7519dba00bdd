"""Network input from stored images: transfer to the device, normalisation, channel statistics."""

import numpy as np
import torch
from torch import Tensor

from wheretolook.networks.card import Card

Channels = tuple[float, float, float]


def to_device(tensor: Tensor, device: torch.device) -> Tensor:
    """Copy a CPU tensor to `device`; to CUDA asynchronously, from pinned memory."""
    if device.type != "cuda":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)


def to_input(images: Tensor, mean: Channels, std: Channels) -> Tensor:
    """Normalised network input.

    Args:
        images: (N, S, S, 3) uint8 RGB.
        mean: of each channel, for values in 0..1.
        std: of each channel, for values in 0..1.

    Returns:
        (N, 3, S, S) float32 on the images' device: (value / 255 - mean) / std. In channels-last memory format, like
        the stored images, which is also the fastest for convolutions.
    """
    scale = to_device(torch.tensor([1 / (255 * s) for s in std]), images.device)
    offset = to_device(torch.tensor([m / s for m, s in zip(mean, std, strict=True)]), images.device)
    return images.to(torch.float32).mul_(scale).sub_(offset).permute(0, 3, 1, 2)


def model_input(card: Card, images: np.ndarray | Tensor, device: torch.device) -> Tensor:
    """Network input of a model: `to_input` with the normalisation of its card, on `device`.

    Args:
        card: of the model.
        images: (N, S, S, 3) RGB, values 0 to 255, on the CPU.
        device: of the network.

    Returns:
        (N, 3, S, S) float32.
    """
    return to_input(to_device(torch.as_tensor(images), device), card.mean, card.std)


def channel_statistics(images: np.ndarray, rows: np.ndarray, block: int = 256) -> tuple[Channels, Channels]:
    """Mean and standard deviation of each channel over the chosen images, for values in 0..1.

    Reads the images in blocks to bound memory. Integer sums make the result independent of the order of the images.

    Args:
        images: (N, S, S, 3) uint8, may be memory-mapped.
        rows: (n,) indices of the chosen images, n >= 1.
        block: number of images read at a time.

    Returns:
        Mean and standard deviation. The standard deviation is at least 1 / 255, also for a constant channel.
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
