"""Take the outputs of a network's layers as it runs, and leave the network as it was."""

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from functools import partial

import torch
from torch import Tensor, nn

from wheretolook.data.refusal import Refusal
from wheretolook.models.hooks import hooked


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
        raise Refusal(f"layer {layer}: expected one tensor, found {type(output).__name__}; name a layer inside it")
    if torch.is_grad_enabled() and not output.requires_grad:
        output = output.detach().requires_grad_()
    captured.take(layer, output)
    return output.clone() if copy else output
