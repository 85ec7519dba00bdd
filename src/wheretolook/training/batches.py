"""Batches of a training step: order of the images, and augmentation."""

import numpy as np
import torch
from torch import Tensor

from wheretolook.networks.inputs import to_device


def steps_per_epoch(images: int, batch_size: int) -> int:
    """Number of batches in an epoch."""
    return -(-images // batch_size)


def epoch_batches(rows: np.ndarray, batch_size: int, seed: int, epoch: int) -> list[np.ndarray]:
    """All images in random order, in batches whose sizes differ by at most one.

    Args:
        rows: (n,) indices of the training images.
        batch_size: largest number of images in a batch.
        seed: of the training.
        epoch: from 0; each has its own order.

    Returns:
        Batches of indices, (m,) each, m <= batch_size.
    """
    order = np.random.default_rng(mixed_seed(seed, epoch)).permutation(rows)
    return np.array_split(order, steps_per_epoch(len(rows), batch_size))


def mixed_seed(*numbers: int) -> int:
    """A 32-bit seed derived from several numbers, such as a run's seed, the step and the rank."""
    return int(np.random.SeedSequence(numbers).generate_state(1)[0])


# Largest shift of an image, as a share of its side; small, so that objects at the border remain visible.
SHIFT = 0.04
# Largest relative change of brightness of an image, and of each of its channels.
LIGHT, TINT = 0.15, 0.05


def move(images: Tensor, generator: torch.Generator) -> Tensor:
    """Flip, rotate by multiples of 90 degrees and shift each image at random; the border is replicated.

    A single gather of pixels does all three, without interpolation.

    Args:
        images: (N, S, S, 3), any type.
        generator: on the CPU.

    Returns:
        (N, S, S, 3), of the same type and device.
    """
    count, side = images.shape[:2]
    furthest = round(SHIFT * side)
    shifts = torch.randint(-furthest, furthest + 1, (2, count, 1), generator=generator, dtype=torch.int32)
    flips = torch.randint(2, (2, count, 1), generator=generator, dtype=torch.bool)
    transposed = torch.randint(2, (count, 1), generator=generator, dtype=torch.bool)
    positions = (torch.arange(side, dtype=torch.int32) + shifts).clamp(0, side - 1)
    down, across = torch.where(flips, side - 1 - positions, positions)  # (N, S) each: source row, source column
    # The source index of pixel (i, j) is a sum of a term of i and a term of j; transposing and flipping is a rotation.
    image = torch.arange(count, dtype=torch.int32) * side * side
    by_row = to_device(image[:, None] + torch.where(transposed, across, down * side), images.device)
    by_column = to_device(torch.where(transposed, down * side, across), images.device)
    source = by_row[:, :, None] + by_column[:, None, :]  # (N, S, S), computed on the device from its two terms
    return images.reshape(-1, 3).index_select(0, source.flatten()).reshape(images.shape)


def jitter(images: Tensor, generator: torch.Generator) -> Tensor:
    """Vary brightness and tint of each image, in place.

    Args:
        images: (N, 3, S, S) floating, normalised.
        generator: on the CPU.

    Returns:
        The same tensor, with each channel of each image multiplied by a factor near 1.
    """
    count = len(images)
    light = 1 + LIGHT * (2 * torch.rand((count, 1, 1, 1), generator=generator) - 1)
    tint = 1 + TINT * (2 * torch.rand((count, 3, 1, 1), generator=generator) - 1)
    return images.mul_(to_device(light * tint, images.device))
