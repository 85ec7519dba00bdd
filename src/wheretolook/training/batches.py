"""Batches of a training step: order of the images, what their outputs should be, and augmentation."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from wheretolook.base.errors import InputError
from wheretolook.base.prepared import Prepared
from wheretolook.networks.inputs import Channels, to_device, to_input
from wheretolook.params.train_options import LABELS, VALUE


def steps_per_epoch(images: int, batch_size: int) -> int:
    """Number of batches in an epoch."""
    return -(-images // batch_size)


def epoch_batches(
    rows: np.ndarray, batch_size: int, seed: int, epoch: int, labels: np.ndarray | None = None
) -> list[np.ndarray]:
    """The images of an epoch in random order, in batches whose sizes differ by at most one.

    Args:
        rows: (n,) indices of the training images.
        batch_size: largest number of images in a batch.
        seed: of the training.
        epoch: from 0; each has its own order.
        labels: (n,) classes of these images, to draw as many of each class; None: each image once.

    Returns:
        Batches of indices, (m,) each, m <= batch_size; n indices in all.
    """
    random = np.random.default_rng(mixed_seed(seed, epoch))
    order = random.permutation(rows) if labels is None else rows[_balanced(labels, random)]
    return np.array_split(order, steps_per_epoch(len(rows), batch_size))


def _balanced(labels: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """(n,) places, in random order: n / K of each class, whose images are repeated equally often, or once more."""
    classes = random.permutation(np.unique(labels))
    drawn = []
    for number, own in enumerate(np.array_split(np.arange(len(labels)), len(classes))):
        places = np.flatnonzero(labels == classes[number])
        rounds = [random.permutation(places) for _ in range(-(-len(own) // len(places)))]
        drawn.append(np.concatenate(rounds)[: len(own)])
    return random.permutation(np.concatenate(drawn))


def balanced_weights(labels: np.ndarray, class_count: int) -> np.ndarray:
    """Class weights inversely proportional to the class frequencies, n / (K n_k): 1 on average over images.

    Args:
        labels: (n,) int64, of the training images.
        class_count: K.

    Returns:
        (K,) float32; 0 for a class without images.
    """
    counts = np.bincount(labels, minlength=class_count)
    return np.where(counts > 0, len(labels) / (class_count * np.maximum(counts, 1)), 0).astype(np.float32)


@dataclass(frozen=True)
class Targets:
    """What the outputs of a network should be.

    Attributes:
        kind: one of `TrainOptions.outputs`.
        array: of each prepared image: (N,) int64 class; "labels": (N, L) float32, 1, 0 or NaN for unknown; "value":
            (N,) float32, distance from the threshold in standard deviations of the training images.
        shown: index of the label whose presence the classes are; 0 for the others.
        described: for the model's card; None for classes.
    """

    kind: str
    array: np.ndarray
    shown: int = 0
    described: dict[str, Any] | None = None


def targets_of(prepared: Prepared, kind: str) -> Targets:
    """What a network learns from these data.

    Args:
        prepared: the data.
        kind: one of `TrainOptions.outputs`.

    Raises:
        InputError: no such labels or values, or classes that are not made of them.
    """
    if kind == LABELS:
        return _label_targets(prepared)
    if kind != VALUE:
        return Targets(kind, prepared.labels)
    if prepared.value is None or set(prepared.class_names) != set(prepared.value.class_names):
        hint = "set `fetch.value_column` to a column of numbers, or `outputs: classes`"
        raise InputError("outputs: value", "a column of values", "none in the data", hint)
    values, threshold = prepared.values(), prepared.value.threshold
    scale = float(values[prepared.rows("train")].std()) or 1.0
    described = {"kind": kind, "name": prepared.value.name, "threshold": threshold, "scale": scale}
    return Targets(kind, ((values - threshold) / scale).astype(np.float32), 0, described)


def _label_targets(prepared: Prepared) -> Targets:
    names, table = prepared.label_names, prepared.label_table() if prepared.label_names else None
    if table is None:
        hint = "set `fetch.multi_labels`, or `outputs: classes`"
        raise InputError("outputs: labels", "labels of their own", "none in the data", hint)
    shown = [name for name in names if {name, f"no {name}"} == set(prepared.class_names)]
    if not shown:
        raise InputError(
            "outputs: labels",
            expected=f"classes that are the presence of one of the labels ({', '.join(names)})",
            found=", ".join(prepared.class_names[:5]),
            hint="set `fetch.label_column` to the label that statements should be about",
        )
    train = table[prepared.rows("train")]
    for name, column in zip(names, train.T, strict=True):
        if not {0.0, 1.0} <= set(column.tolist()):
            hint = f"remove {name} from fetch.multi_labels"
            raise InputError(f"label {name}", "training images with it, and without it", "only one kind", hint)
    described = {"kind": LABELS, "names": list(names), "shown": shown[0]}
    return Targets(LABELS, table, names.index(shown[0]), described)


def constant_loss(targets: Targets, train: np.ndarray, val: np.ndarray) -> float:
    """Validation loss of the best constant outputs for the training images; "labels" and "value" alone.

    Args:
        targets: of the data.
        train, val: rows of these splits.
    """
    known, checked = targets.array[train].astype(np.float64), targets.array[val].astype(np.float64)
    mean = np.nanmean(known, axis=0)
    if targets.kind == VALUE:
        return float(((checked - mean) ** 2).mean())
    there = ~np.isnan(checked)
    losses = np.where(there, -np.log(np.where(checked > 0, mean, 1 - mean)), 0)
    return float((losses.sum(1) / np.maximum(there.sum(1), 1)).mean())


def mixed_seed(*numbers: int) -> int:
    """A 32-bit seed derived from several numbers, such as a run's seed, the step and the rank."""
    return int(np.random.SeedSequence(numbers).generate_state(1)[0])


@dataclass(frozen=True)
class Augmentation:
    """Random changes of the training images.

    Attributes:
        steps: name to amount, from `read_augment`; percent or degrees.
    """

    steps: Mapping[str, float]

    def inputs(self, images: Tensor, mean: Channels, std: Channels, generator: torch.Generator) -> Tensor:
        """Network input of augmented images.

        Args:
            images: (N, S, S, 3) uint8.
            mean, std: of each channel, as for `to_input`.
            generator: on the CPU.

        Returns:
            (N, 3, S, S) float32.
        """
        steps = self.steps
        if {"flip", "turn", "shift"} & steps.keys():
            images = move(images, generator, steps.get("shift", 0) / 100, "flip" in steps, "turn" in steps)
        inputs = to_input(images, mean, std)
        if {"rotate", "zoom", "crop"} & steps.keys():
            rotate, zoom, crop = (steps.get(name, 0) for name in ("rotate", "zoom", "crop"))
            inputs = warp(inputs, random_warps(len(images), math.radians(rotate), zoom / 100, crop / 100, generator))
        if {"light", "tint"} & steps.keys():
            inputs = jitter(inputs, generator, steps.get("light", 0) / 100, steps.get("tint", 0) / 100)
        return inputs


def move(images: Tensor, generator: torch.Generator, shift: float, flip: bool, turn: bool) -> Tensor:
    """Flip, rotate by multiples of 90 degrees and shift each image at random; the border is replicated.

    A single gather of pixels does all three, without interpolation.

    Args:
        images: (N, S, S, 3), any type.
        generator: on the CPU.
        shift: largest shift, as a share of the side.
        flip: whether images are mirrored left to right.
        turn: whether they are rotated by multiples of 90 degrees.

    Returns:
        (N, S, S, 3), of the same type and device.
    """
    count, side = images.shape[:2]
    furthest = round(shift * side)
    shifts = torch.randint(-furthest, furthest + 1, (2, count, 1), generator=generator, dtype=torch.int32)
    flips = torch.randint(2, (2, count, 1), generator=generator, dtype=torch.bool)
    transposed = torch.randint(2, (count, 1), generator=generator, dtype=torch.bool)
    if not turn:
        transposed.zero_()
        flips[0].zero_()
    if turn and not flip:
        flips[1] = flips[0] ^ transposed  # a rotation is an even number of mirrorings
    if not turn and not flip:
        flips[1].zero_()
    positions = (torch.arange(side, dtype=torch.int32) + shifts).clamp(0, side - 1)
    down, across = torch.where(flips, side - 1 - positions, positions)  # (N, S) each: source row, source column
    # The source index of pixel (i, j) is a sum of a term of i and a term of j; transposing and flipping is a rotation.
    image = torch.arange(count, dtype=torch.int32) * side * side
    by_row = to_device(image[:, None] + torch.where(transposed, across, down * side), images.device)
    by_column = to_device(torch.where(transposed, down * side, across), images.device)
    source = by_row[:, :, None] + by_column[:, None, :]  # (N, S, S), computed on the device from its two terms
    return images.reshape(-1, 3).index_select(0, source.flatten()).reshape(images.shape)


def random_warps(count: int, rotate: float, zoom: float, crop: float, generator: torch.Generator) -> Tensor:
    """Random affine maps from the places of the result to those of the image: (N, 2, 3) float32.

    Args:
        count: N.
        rotate: largest angle, radians.
        zoom: largest relative change of size.
        crop: largest part of the side that is cut off.
        generator: on the CPU.
    """
    angle, size, part, down, across = torch.rand((5, count), generator=generator)
    angle, size = rotate * (2 * angle - 1), 1 + zoom * (2 * size - 1)
    cut = crop * part
    scale = (1 - cut) / size
    cosine, sine = scale * angle.cos(), scale * angle.sin()
    offsets = cut * (2 * across - 1), cut * (2 * down - 1)  # half the image's side is 1
    rows = torch.stack([cosine, -sine, offsets[0]], dim=1), torch.stack([sine, cosine, offsets[1]], dim=1)
    return torch.stack(rows, dim=1)


def warp(images: Tensor, warps: Tensor) -> Tensor:
    """Affine transform of each image, bilinear; the border is replicated.

    Args:
        images: (N, 3, S, S) floating.
        warps: (N, 2, 3), of `random_warps`.
    """
    side = images.shape[-1]
    grid = functional.affine_grid(to_device(warps, images.device), list(images.shape), align_corners=False)
    # Clamped here, since not all devices have grid_sample with a replicated border.
    inside = grid.clamp(1 / side - 1, 1 - 1 / side)
    moved = functional.grid_sample(images, inside, mode="bilinear", padding_mode="zeros", align_corners=False)
    return moved.contiguous(memory_format=torch.channels_last)


def jitter(images: Tensor, generator: torch.Generator, light: float, tint: float) -> Tensor:
    """Vary contrast (with the mean colour of all images) and tint of each image, in place.

    Args:
        images: (N, 3, S, S) floating, normalised.
        generator: on the CPU.
        light: largest relative change of an image.
        tint: largest relative change of each of its channels.

    Returns:
        The same tensor, with each channel of each image multiplied by a factor near 1.
    """
    count = len(images)
    lights = 1 + light * (2 * torch.rand((count, 1, 1, 1), generator=generator) - 1)
    tints = 1 + tint * (2 * torch.rand((count, 3, 1, 1), generator=generator) - 1)
    return images.mul_(to_device(lights * tints, images.device))
