"""Network input from stored images, and the model's classes matched to those of the data."""

import unicodedata
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from wheretolook.base.errors import InputError
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


# Another order of the class names is suggested if it improves the accuracy by at least this much.
_LEAST_GAIN = 0.3
_LEAST_IMAGES = 20
_SHOWN = 10


def match_classes(model: Path, card: Card, class_names: Sequence[str]) -> np.ndarray:
    """Index of the model's logit for each class of the data: (K,) int64.

    Raises:
        InputError: the model has other classes; the hint says what to rename, or where to map the names.
    """
    # File systems use either Unicode form of a name; the data's names are in NFC.
    own = [unicodedata.normalize("NFC", name) for name in card.class_names]
    if set(own) == set(class_names):
        return np.array([own.index(name) for name in class_names])
    missing = [name for name in own if name not in class_names]
    other = [name for name in class_names if name not in own]
    if len(card.class_names) != len(class_names):
        hint = "Use data with the model's classes, or another model"
    elif is_foreign(card):
        hint = (
            f"If they are the same classes, set drive.{model.stem}.classes to the data's names in the order of the "
            f"model's outputs, replacing {_listed(missing)}"
        )
    else:
        hint = f"If they are the same classes, rename the class folders {_listed(other)} to {_listed(missing)}"
    raise InputError(str(model), f"the classes of the data, {_listed(class_names)}", _listed(card.class_names), hint)


def is_foreign(card: Card) -> bool:
    """Whether a model was imported from a foreign checkpoint, so that its class names are from params.yaml."""
    return not card.training


def better_order(logits: np.ndarray, labels: np.ndarray, card: Card, columns: np.ndarray) -> tuple[str, ...] | None:
    """The order of class names that fits a foreign model's outputs much better; None if there is no such order.

    Args:
        logits: (N, K), columns in the order of the data's classes.
        labels: (N,) int64.
        card: of the model.
        columns: from `match_classes`.
    """
    if not is_foreign(card) or len(labels) < _LEAST_IMAGES:
        return None
    from scipy.optimize import linear_sum_assignment

    count = logits.shape[1]
    confusion = np.zeros((count, count), dtype=np.int64)
    np.add.at(confusion, (logits.argmax(1), labels), 1)
    assigned = linear_sum_assignment(-confusion)[1]  # the class that fits each column best
    accuracy, best = np.trace(confusion) / len(labels), confusion[np.arange(count), assigned].sum() / len(labels)
    if best - accuracy < _LEAST_GAIN:
        return None
    of_data = [card.class_names[column] for column in columns]
    names = list(card.class_names)
    for column, kind in zip(columns, assigned, strict=True):
        names[column] = of_data[kind]
    return tuple(names)


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
