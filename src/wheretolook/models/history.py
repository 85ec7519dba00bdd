"""The history of a training: loss and accuracy by epoch and by head."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor


@dataclass
class Tally:
    """Running totals over images. They stay where the network runs: to read them is to wait for all that it has to do.

    Attributes:
        images: how many were added.
        sums: (2, H) float64: for each head the sum of cross entropies, and the number of right answers.
    """

    images: int
    sums: Tensor

    @classmethod
    def empty(cls, heads: int, device: torch.device) -> "Tally":
        """Nothing added yet; of losses on `device`."""
        # Apple's MPS has no float64.
        return cls(0, torch.zeros(2, heads, dtype=torch.float64, device="cpu" if device.type == "mps" else device))

    def add(self, losses: Tensor, logits: Tensor, labels: Tensor) -> None:
        """Add a batch.

        Args:
            losses: (H, N) cross entropy of each head and image.
            logits: (H, N, K).
            labels: (N,) int64.
        """
        loss, correct = losses.detach().sum(1), (logits.detach().argmax(2) == labels).sum(1)
        self.images += len(labels)
        # First to where the sums are, then widened there.
        self.sums += torch.stack([part.to(self.sums.device).double() for part in (loss, correct)])


def epoch_entry(epoch: int, heads: tuple[str, ...], train: Tally, val: Tally) -> dict[str, Any]:
    """One epoch of the history.

    Args:
        epoch: from 1.
        heads: layers of the trained heads, first to last.
        train: totals over the epoch's batches, as the weights were then.
        val: totals over the validation images after the epoch.

    Returns:
        epoch, train_loss, train_accuracy, val_loss, val_accuracy of the last head, which are the network's own logits,
        and under "layers" the same for each head.
    """
    (train_loss, train_correct), (val_loss, val_correct) = train.sums.tolist(), val.sums.tolist()
    layers = {
        layer: {
            "train_loss": train_loss[i] / train.images,
            "train_accuracy": train_correct[i] / train.images,
            "val_loss": val_loss[i] / val.images,
            "val_accuracy": val_correct[i] / val.images,
        }
        for i, layer in enumerate(heads)
    }
    return {"epoch": epoch} | layers[heads[-1]] | {"layers": layers}


def loss_of_guessing(train: np.ndarray, val: np.ndarray, class_weights: np.ndarray | None = None) -> float:
    """Cross entropy of a network that looks at no image, and gives each class its share of the training images.

    Args:
        train: (n,) int64, labels of the training images.
        val: (m,) int64, labels of the validation images.
        class_weights: (K,) by which images of each class count, in the shares and in the loss; None: all the same.
    """
    classes = max(int(val.max()) + 1, 0 if class_weights is None else len(class_weights))
    shares = np.bincount(train, minlength=classes).astype(np.float64)
    weights = np.ones(len(shares)) if class_weights is None else class_weights.astype(np.float64)
    shares *= weights
    shares /= shares.sum()
    counted = val[weights[val] > 0]
    with np.errstate(divide="ignore"):  # a class that was never seen: infinite
        return float((weights[counted] * -np.log(shares[counted])).sum() / len(val))


def best_epoch(history: list[dict[str, Any]]) -> dict[str, Any]:
    """The epoch of the lowest validation loss; of equal ones the first."""
    return min(history, key=lambda entry: entry["val_loss"])


def kept_epoch(history: list[dict[str, Any]], keep: str) -> dict[str, Any]:
    """The epoch whose weights are kept: the "best" one, or the "last"."""
    return best_epoch(history) if keep == "best" else history[-1]
