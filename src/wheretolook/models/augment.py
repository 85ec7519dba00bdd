"""Augmentation of a batch, on tensors: what a cell (or a face) may look like without being another one.

Chance is drawn on the CPU from the generator that is given, so that it is the same on every device.
"""

import torch
from torch import Tensor

from wheretolook.models.inputs import to_device

# The furthest shift of an image, as a share of its side: small, so that what stands at the border stays in sight.
SHIFT = 0.04
# Each image's light, and the light of each of its channels, vary by so much up and down.
LIGHT, TINT = 0.15, 0.05


def move(images: Tensor, generator: torch.Generator) -> Tensor:
    """Flip, turn by quarters and shift each image in its own way; what is shifted in repeats the border.

    One selection of pixels does all three; none is interpolated.

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
    # Where pixel (i, j) comes from is a sum of what i says and what j says; transposed and flipped is a quarter turn.
    image = torch.arange(count, dtype=torch.int32) * side * side
    by_row = to_device(image[:, None] + torch.where(transposed, across, down * side), images.device)
    by_column = to_device(torch.where(transposed, down * side, across), images.device)
    source = by_row[:, :, None] + by_column[:, None, :]  # (N, S, S), on the device: only its sides have to travel
    return images.reshape(-1, 3).index_select(0, source.flatten()).reshape(images.shape)


def jitter(images: Tensor, generator: torch.Generator) -> Tensor:
    """Vary light and tint of each image, in place.

    Args:
        images: (N, 3, S, S) floating, normalised.
        generator: on the CPU.

    Returns:
        The same tensor: each channel of each image times a factor close to 1.
    """
    count = len(images)
    light = 1 + LIGHT * (2 * torch.rand((count, 1, 1, 1), generator=generator) - 1)
    tint = 1 + TINT * (2 * torch.rand((count, 3, 1, 1), generator=generator) - 1)
    return images.mul_(to_device(light * tint, images.device))
