"""Run a network such that a map depends on its weights and the image alone, whatever state the network is in."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from wheretolook.execution.determinism import whole_float32

PRECISIONS = ("float32", "bfloat16")


@contextmanager
def steady(network: nn.Module, precision: str, gradients: bool) -> Iterator[None]:
    """Evaluation mode, weights without gradients, and the modes of `shielded`.

    Args:
        network: left as it was found: each module's training flag, each weight's `requires_grad`.
        precision: as for `shielded`.
        gradients: as for `shielded`.
    """
    training = {module: module.training for module in network.modules()}
    trainable = [weight for weight in network.parameters() if weight.requires_grad]
    kind = next((weight.device.type for weight in network.parameters()), "cpu")
    with shielded(kind, precision, gradients):
        try:
            network.eval()
            for weight in trainable:
                weight.requires_grad_(False)
            yield
        finally:
            # Some modules do more than set a flag, as to take merged weights apart.
            network.train(training[network])
            for module, flag in training.items():
                module.training = flag
            for weight in trainable:
                weight.requires_grad_(True)


@contextmanager
def shielded(device_type: str, precision: str, gradients: bool) -> Iterator[None]:
    """Neither `no_grad`, `inference_mode` nor `autocast` from outside.

    Args:
        device_type: "cpu", "cuda", "mps".
        precision: "float32": as the weights are, on CUDA without TF32; "bfloat16": automatic mixed precision.
        gradients: whether a graph is recorded, for backward passes.
    """
    autocast = torch.autocast(device_type, torch.bfloat16, enabled=precision == "bfloat16")
    with torch.inference_mode(False), torch.set_grad_enabled(gradients), autocast, whole_float32():
        yield
