"""The training objective: losses of the heads, totals and history by epoch, gradients shared between processes."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from wheretolook.base.errors import InputError
from wheretolook.base.prepared import Prepared
from wheretolook.networks.inputs import Channels, to_device, to_input
from wheretolook.networks.layered import Network, two_logits
from wheretolook.networks.runtime.processes import Ranks
from wheretolook.params.train_options import LABELS, VALUE
from wheretolook.training.batches import Targets


@dataclass
class Tally:
    """Running totals over images, kept on the network's device, since reading them would wait for it.

    Attributes:
        images: number of images.
        sums: (2, H) float64: for each head, the sum of the losses and the number of correct predictions.
    """

    images: int
    sums: Tensor

    @classmethod
    def empty(cls, heads: int, device: torch.device) -> "Tally":
        """Totals of no images, for losses on `device`."""
        # MPS has no float64.
        return cls(0, torch.zeros(2, heads, dtype=torch.float64, device="cpu" if device.type == "mps" else device))

    def add(self, losses: Tensor, right: Tensor) -> None:
        """Add a batch.

        Args:
            losses: (H, N) loss of each head and image.
            right: (H, N) bool, whether each prediction is correct.
        """
        loss, correct = losses.detach().sum(1), right.sum(1)
        self.images += losses.shape[1]
        # Moved first, then converted to float64, which the source device may lack.
        self.sums += torch.stack([part.to(self.sums.device).double() for part in (loss, correct)])


def epoch_entry(epoch: int, heads: tuple[str, ...], train: Tally, val: Tally) -> dict[str, Any]:
    """One epoch of the history.

    Args:
        epoch: from 1.
        heads: layers of the trained heads, first to last.
        train: totals over the epoch's batches, each with the weights before its step.
        val: totals over the validation images after the epoch.

    Returns:
        epoch, train_loss, train_accuracy, val_loss, val_accuracy of the network's logits (the last head), and under
        "layers" the same figures of each head.
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
    """Cross entropy of a baseline that predicts, for every image, the class frequencies of the training images.

    Args:
        train: (n,) int64, labels of the training images.
        val: (m,) int64, labels of the validation images.
        class_weights: (K,) weights of the classes, in the frequencies and in the loss; None for equal weights.
    """
    classes = max(int(val.max()) + 1, 0 if class_weights is None else len(class_weights))
    shares = np.bincount(train, minlength=classes).astype(np.float64)
    weights = np.ones(len(shares)) if class_weights is None else class_weights.astype(np.float64)
    shares *= weights
    shares /= shares.sum()
    counted = val[weights[val] > 0]
    with np.errstate(divide="ignore"):  # a class without training images: infinite
        return float((weights[counted] * -np.log(shares[counted])).sum() / len(val))


def best_epoch(history: list[dict[str, Any]]) -> dict[str, Any]:
    """The epoch with the lowest validation loss; the first of equal ones."""
    return min(history, key=lambda entry: entry["val_loss"])


def stopped_early(history: list[dict[str, Any]], patience: int) -> bool:
    """Whether the validation loss has not fallen below its lowest for `patience` epochs; never for 0."""
    return bool(patience and history) and history[-1]["epoch"] - best_epoch(history)["epoch"] >= patience


def kept_epoch(history: list[dict[str, Any]], keep: str) -> dict[str, Any]:
    """The epoch whose weights are kept: the "best" one, or the "last"."""
    return best_epoch(history) if keep == "best" else history[-1]


class Objective(nn.Module):
    """A network and its trained heads as one module, for DistributedDataParallel.

    Args:
        network: the heads that are not trained are frozen.
        loss: "last" or "every".
        class_weights: (K,) float32 weights of the classes in the loss; None for equal weights.
        label_smoothing: share of the target given to all classes alike, in training mode alone.
        frozen: names of parameters that are not trained. If there are any, the network stays in evaluation mode.
        targets: of the images; None: classes.
    """

    def __init__(
        self,
        network: Network,
        loss: str,
        class_weights: Tensor | None = None,
        label_smoothing: float = 0.0,
        frozen: Sequence[str] = (),
        targets: Targets | None = None,
    ):
        super().__init__()
        self.network, self.label_smoothing = network, label_smoothing
        self.kind, self.shown = (targets.kind, targets.shown) if targets else ("classes", 0)
        self.layers = network.layer_names if loss == "every" else network.layer_names[-1:]
        self.class_weights: Tensor | None
        self.register_buffer("class_weights", class_weights, persistent=False)
        network.side_heads.requires_grad_(loss == "every")
        for name in frozen:
            network.get_parameter(name).requires_grad_(False)
        self.frozen = bool(frozen)
        self.train(network.training)

    def train(self, mode: bool = True) -> "Objective":
        """As `nn.Module.train`; a network with a frozen backbone stays in evaluation mode."""
        super().train(mode)
        self.network.train(mode and not self.frozen)
        return self

    def forward(self, images: Tensor) -> Tensor:
        """Outputs of the trained heads: (N, 3, S, S) to (H, N, K) float32, also under autocast.

        The single output of kind "sigmoid" is given as two logits.
        """
        logits = torch.stack(list(self.network.layer_logits(images, self.layers).values())).float()
        return two_logits(logits, 2) if self.kind == "sigmoid" else logits

    def losses(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Loss of each head and image: cross entropy, times the weight of the image's class.

        For labels, the mean binary cross entropy of those that are known; for a value, the squared error.

        Args:
            logits: (H, N, K).
            labels: as `Targets.array`, of these images.

        Returns:
            (H, N).
        """
        if self.kind == VALUE:
            return (logits[..., 0] - labels) ** 2
        if self.kind == LABELS:
            known = ~labels.isnan()
            target = labels.nan_to_num().expand_as(logits)
            losses = functional.binary_cross_entropy_with_logits(logits, target, reduction="none") * known
            return losses.sum(2) / known.sum(1).clamp(min=1)
        losses = head_losses(logits, labels, self.label_smoothing if self.training else 0.0)
        return losses if self.class_weights is None else losses * self.class_weights[labels]

    def right(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Whether each head predicts the class of each image; arguments as for `losses`, (H, N) bool."""
        logits = logits.detach()
        if self.kind not in (LABELS, VALUE):
            return logits.argmax(2) == labels
        target = labels[:, self.shown] > 0.5 if self.kind == LABELS else labels > 0
        return (logits[:, :, self.shown] > 0) == target


def head_losses(logits: Tensor, labels: Tensor, label_smoothing: float = 0.0) -> Tensor:
    """Cross entropy of each head and image.

    Args:
        logits: (H, N, K).
        labels: (N,) int64.
        label_smoothing: share of the target given to all classes alike.

    Returns:
        (H, N).
    """
    flat, target = logits.flatten(0, 1), labels.repeat(len(logits))
    losses = functional.cross_entropy(flat, target, reduction="none", label_smoothing=label_smoothing)
    return losses.reshape(logits.shape[:2])


def summed_tally(tally: Tally, ranks: Ranks) -> Tally:
    """The totals over all processes, which must have the same number of heads."""
    if ranks.alone:
        return tally
    totals = ranks.summed(torch.cat([tally.sums.new_tensor([tally.images]), tally.sums.flatten()]))
    return Tally(int(totals[0]), totals[1:].reshape(tally.sums.shape))


PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def computing_in(precision: str, device: torch.device) -> AbstractContextManager:
    """Context in which convolutions and linear layers compute in `precision`; weights remain float32."""
    dtype = PRECISIONS[precision]
    return torch.autocast(device.type, dtype, enabled=dtype is not torch.float32)


def evaluate(
    objective: Objective,
    prepared: Prepared,
    targets: Targets,
    rows: np.ndarray,
    normalisation: tuple[Channels, Channels],
    precision: str,
    batch_size: int,
    ranks: Ranks,
    when: str,
) -> Tally:
    """Totals over the images `rows`, in evaluation mode; afterwards the network is in training mode.

    Args:
        objective, prepared, targets: the network with its trained heads; images; what its outputs should be.
        rows: (n,) indices of the images.
        normalisation: mean and standard deviation of each channel.
        precision: "float32" or "bfloat16".
        batch_size: images per forward pass.
        ranks: the processes that share the images.
        when: subject of the error message, such as "validation of epoch 3".

    Raises:
        InputError: a loss is NaN or infinite.
    """
    mine = ranks.share(rows)
    # Has all heads, also for a process without images.
    tally = Tally.empty(len(objective.layers), ranks.device)
    objective.eval()
    with torch.inference_mode():
        for start in range(0, len(mine), batch_size):
            batch = mine[start : start + batch_size]
            images = to_input(to_device(torch.from_numpy(prepared.images[batch]), ranks.device), *normalisation)
            with computing_in(precision, ranks.device):
                logits = objective(images)
            target = to_device(torch.from_numpy(targets.array[batch]), ranks.device)
            losses = objective.losses(logits, target)
            check_losses(losses, objective.layers, prepared, batch, when)
            tally.add(losses, objective.right(logits, target))
    objective.train()
    return summed_tally(tally, ranks)


def check_losses(losses: Tensor, layers: tuple[str, ...], prepared: Prepared, batch: np.ndarray, when: str) -> None:
    """Check that all losses are finite.

    Args:
        losses: (H, N), of each head and image.
        layers: names of the heads.
        prepared: for the names of the images.
        batch: (N,) rows.
        when: subject of the error message.

    Raises:
        InputError: a loss is NaN or infinite.
    """
    if bool(torch.isfinite(losses.sum())):
        return
    bad = ~torch.isfinite(losses).cpu().numpy()
    heads = ", ".join(layer for layer, row in zip(layers, bad, strict=True) if row.any())
    ids = prepared.index["image_id"]
    raise InputError(
        when,
        expected="a finite loss",
        found=f"NaN or infinity in {heads} for {', '.join(ids.iloc[batch[bad.any(0)]])}",
        hint=f"lower train.learning_rate, or set train.precision to float32 (batch: {', '.join(ids.iloc[batch])})",
    )
