"""The history of a training: loss and accuracy by epoch and by head."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass
class Tally:
    """Running totals over images, one entry a head: sum of cross entropies, number of right answers.

    Attributes:
        images: how many were added.
        loss: sum for each head.
        correct: count for each head.
    """

    images: int
    loss: list[float]
    correct: list[int]

    @classmethod
    def empty(cls, heads: int) -> "Tally":
        """Nothing added yet."""
        return cls(0, [0.0] * heads, [0] * heads)

    def add(self, losses: Tensor, logits: Tensor, labels: Tensor) -> None:
        """Add a batch.

        Args:
            losses: (H, N) cross entropy of each head and image.
            logits: (H, N, K).
            labels: (N,) int64.
        """
        loss = losses.detach().sum(1).tolist()
        correct = (logits.detach().argmax(2) == labels).sum(1).tolist()
        self.images += len(labels)
        self.loss = [a + b for a, b in zip(self.loss, loss, strict=True)]
        self.correct = [a + b for a, b in zip(self.correct, correct, strict=True)]

    def as_tensor(self) -> Tensor:
        """(1 + 2 H,) float64: images, losses, correct; sums of tallies are sums of these."""
        return torch.tensor([self.images, *self.loss, *self.correct], dtype=torch.float64)


def tally_from(totals: Tensor) -> Tally:
    """The tally whose `as_tensor` is `totals`."""
    images, *rest = totals.tolist()
    heads = len(rest) // 2
    return Tally(int(images), rest[:heads], [int(count) for count in rest[heads:]])


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
    layers = {
        layer: {
            "train_loss": train.loss[i] / train.images,
            "train_accuracy": train.correct[i] / train.images,
            "val_loss": val.loss[i] / val.images,
            "val_accuracy": val.correct[i] / val.images,
        }
        for i, layer in enumerate(heads)
    }
    return {"epoch": epoch} | layers[heads[-1]] | {"layers": layers}


def best_epoch(history: list[dict[str, Any]]) -> dict[str, Any]:
    """The epoch of the lowest validation loss; of equal ones the first."""
    return min(history, key=lambda entry: entry["val_loss"])
