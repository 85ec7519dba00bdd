"""What a training minimises: the cross entropy of the last head, or of every head."""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from wheretolook.models.layered import Network


class Objective(nn.Module):
    """A network with the heads that are trained, as one module, so that it can be run by many processes.

    Args:
        network: heads that are not trained are frozen.
        loss: "last" or "every".
        class_weights: (K,) float32, by which the loss of an image of each class counts; None: all count the same.
    """

    def __init__(self, network: Network, loss: str, class_weights: Tensor | None = None):
        super().__init__()
        self.network = network
        self.layers = network.layer_names if loss == "every" else network.layer_names[-1:]
        self.register_buffer("class_weights", class_weights, persistent=False)
        network.side_heads.requires_grad_(loss == "every")

    def forward(self, images: Tensor) -> Tensor:
        """Logits of the trained heads: (N, 3, S, S) to (H, N, K) float32, whatever the network computes in."""
        return torch.stack(list(self.network.layer_logits(images, self.layers).values())).float()

    def losses(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Cross entropy of each head on each image, times the weight of the image's class.

        Args:
            logits: (H, N, K).
            labels: (N,) int64.

        Returns:
            (H, N).
        """
        losses = head_losses(logits, labels)
        return losses if self.class_weights is None else losses * self.class_weights[labels]


def balanced_weights(labels: np.ndarray, class_count: int) -> np.ndarray:
    """Weight of each class such that all classes weigh the same, and an image 1 on average: n / (K n_k).

    Args:
        labels: (n,) int64, of the training images.
        class_count: K.

    Returns:
        (K,) float32; 0 for a class without images.
    """
    counts = np.bincount(labels, minlength=class_count)
    return np.where(counts > 0, len(labels) / (class_count * np.maximum(counts, 1)), 0).astype(np.float32)


def head_losses(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross entropy of each head on each image.

    Args:
        logits: (H, N, K).
        labels: (N,) int64.

    Returns:
        (H, N).
    """
    heads, count, classes = logits.shape
    flat = functional.cross_entropy(logits.reshape(heads * count, classes), labels.repeat(heads), reduction="none")
    return flat.reshape(heads, count)
