"""Run a network such that a map depends on its weights and the image alone, whatever state the network is in."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch
from torch import nn

PRECISIONS = ("float32", "bfloat16")


@contextmanager
def steady(network: nn.Module, precision: str, gradients: bool) -> Iterator[None]:
    """Evaluation mode, weights without gradients, and neither `no_grad` nor `autocast` from outside.

    Args:
        network: left as it was found: each module's training flag, each weight's `requires_grad`.
        precision: "float32": as the weights are; "bfloat16": automatic mixed precision.
        gradients: whether a graph is recorded, for backward passes.
    """
    training = {module: module.training for module in network.modules()}
    trainable = [weight for weight in network.parameters() if weight.requires_grad]
    kind = next((weight.device.type for weight in network.parameters()), "cpu")
    with ExitStack() as stack:
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.set_grad_enabled(gradients))
        stack.enter_context(torch.autocast(kind, torch.bfloat16, enabled=precision == "bfloat16"))
        stack.callback(_restore, training, trainable)
        network.eval()
        for weight in trainable:
            weight.requires_grad_(False)
        yield


def _restore(training: dict[nn.Module, bool], trainable: list[nn.Parameter]) -> None:
    for module, flag in training.items():
        module.training = flag
    for weight in trainable:
        weight.requires_grad_(True)
