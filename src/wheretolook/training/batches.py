"""Batches of a training step: whether a network accepts them, order of the images, and augmentation."""

from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from wheretolook.base.errors import InputError, is_out_of_memory
from wheretolook.base.prepared import Prepared
from wheretolook.networks.architectures import LOOKNET, check_looknet_size
from wheretolook.networks.inputs import to_device
from wheretolook.networks.layered import Network, hooked
from wheretolook.networks.runtime.processes import Ranks
from wheretolook.params.train_options import TrainOptions


def check_trainable(network: Network, architecture: str, size: int, smallest: int, ranks: Ranks) -> None:
    """Check that the network accepts images of this size and batches this small, before PyTorch fails in training.

    Runs one image in evaluation mode, which uses no random numbers and changes no running statistics.

    Args:
        network: on the CPU, where a RuntimeError is not one of a device; left in evaluation mode.
        architecture: for the message.
        size: side of the images, pixels.
        smallest: number of images in the smallest batch, over all processes.
        ranks: the processes that share a batch.

    Raises:
        InputError: images too small for the network, or batches with one value per channel in batch normalisation.
    """
    single = _single_value_norm(network, architecture, size)
    # On CUDA, batch normalisation uses the statistics of all processes.
    synchronised = ranks.device.type == "cuda" and not ranks.alone
    if single and smallest // ranks.count == 1 and not synchronised:
        shared = "" if ranks.alone else f" for {ranks.count} processes"
        fewer = "" if ranks.alone else ", or start fewer processes"
        raise InputError(
            "train.batch_size",
            expected=(
                f"at least two images in each batch and process: for an image of {size} pixels, {single} of "
                f"{architecture} has a single value per channel, without variance"
            ),
            found=f"batches of {smallest} image{'s' if smallest > 1 else ''}{shared}",
            hint=f"raise train.batch_size or prepare.size{fewer}",
        )


def _single_value_norm(network: Network, architecture: str, size: int) -> str:
    """Name of the first batch normalisation that has one value per channel for one image; empty if none has."""
    found: list[str] = []

    def note(name: str, module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        if inputs[0].numel() == inputs[0].shape[1]:
            found.append(name)

    named = network.named_modules()
    norms = [(n, module) for n, module in named if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    try:
        with hooked((module, partial(note, name)) for name, module in norms), torch.inference_mode():
            network.eval()(torch.zeros(1, 3, size, size))
    except RuntimeError as error:
        if is_out_of_memory(error):
            raise
        raise InputError(
            architecture,
            expected="images large enough for all layers",
            found=f"{size} pixels ({error})",
            hint="raise prepare.size",
        ) from error
    return found[0] if found else ""


def smallest_batch(prepared: Prepared, options: TrainOptions, ranks: Ranks, train: int, val: int) -> int:
    """Number of images in the smallest batch, after checks of the splits, the batch size and the image size."""
    for split, count in {"train": train, "val": val}.items():
        if count == 0:
            raise InputError(
                f"split {split} of the prepared data",
                expected="images",
                found="none",
                hint="change the split fractions in section prepare of params.yaml",
            )
    smallest = train // steps_per_epoch(train, options.batch_size)
    if smallest < ranks.count:
        raise InputError(
            "train.batch_size",
            expected=f"at least one image for each of {ranks.count} processes",
            found=f"batches of {smallest} image{'s' if smallest > 1 else ''}",
            hint="raise train.batch_size, or start fewer processes",
        )
    if options.architecture == LOOKNET:
        check_looknet_size(options.depth, prepared.images.shape[1])
    return smallest


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
