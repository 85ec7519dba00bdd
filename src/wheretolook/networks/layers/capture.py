"""Run a network such that a map depends on its weights and the image alone, whatever state the network is in."""

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from functools import partial

import torch
from torch import Tensor, nn

from wheretolook.base.errors import InputError
from wheretolook.networks.layered import hooked
from wheretolook.networks.runtime.device import whole_float32

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


class Captured(dict[str, Tensor]):
    """Output of each layer in the latest forward pass."""

    def __init__(self) -> None:
        super().__init__()
        self._versions: dict[str, int] = {}

    def take(self, layer: str, output: Tensor) -> None:
        """Keep an output, and how often it had been written to until now."""
        self[layer], self._versions[layer] = output, output._version

    def altered(self) -> set[str]:
        """Layers whose output a later layer wrote over, as in-place activations do."""
        return {layer for layer, output in self.items() if output._version != self._versions[layer]}


@contextmanager
def capture(modules: Mapping[str, nn.Module], copied: Collection[str]) -> Iterator[Captured]:
    """Capture outputs inside the `with`; the hooks are gone after it, also after an error.

    With gradients enabled, an output that needs none so far becomes a leaf that does: a backward pass ends at the
    first captured layer, and neither a frozen network nor one behind `no_grad` makes a difference.

    Args:
        modules: the module of each layer. Of a module that runs several times, the last output counts.
        copied: layers that hand on a copy, since a later layer writes over what it is given.

    Yields:
        The outputs of the latest forward pass.
    """
    captured = Captured()
    with hooked((module, partial(_hook, captured, layer, layer in copied)) for layer, module in modules.items()):
        yield captured


def _hook(captured: Captured, layer: str, copy: bool, module: nn.Module, inputs: object, output: object) -> Tensor:
    if not isinstance(output, Tensor):
        raise InputError(
            f"layer {layer}", expected="one tensor", found=type(output).__name__, hint="name a layer inside it"
        )
    if torch.is_grad_enabled() and not output.requires_grad:
        output = output.detach().requires_grad_()
    captured.take(layer, output)
    return output.clone() if copy else output
