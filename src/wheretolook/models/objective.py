"""What a training minimises: the cross entropy of the last head, or of every head."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from wheretolook.models.layered import Network


class Objective(nn.Module):
    """A network with the heads that are trained, as one module, so that it can be run by many processes.

    Args:
        network: heads that are not trained are frozen.
        loss: "last" or "every".
    """

    def __init__(self, network: Network, loss: str):
        super().__init__()
        self.network = network
        self.layers = network.layer_names if loss == "every" else network.layer_names[-1:]
        network.side_heads.requires_grad_(loss == "every")

    def forward(self, images: Tensor) -> Tensor:
        """Logits of the trained heads: (N, 3, S, S) to (H, N, K) float32, whatever the network computes in."""
        return torch.stack(list(self.network.layer_logits(images, self.layers).values())).float()


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
