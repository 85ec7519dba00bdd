"""What every network of the project offers, whatever it is built of: named layers, their feature maps, their heads."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn


class Network(nn.Module):
    """A classifier whose layers have names, feature maps and pooled linear heads.

    A subclass sets `layer_names` and `side_heads`, and gives `layer_modules`, `final_head` and `trace`; also
    `layer_parts`, where the former hold no weights.

    Attributes:
        layer_names: the layers, first to last; no dots in the names.
        side_heads: for each layer but the last, a linear head on its pooled feature maps. They start at zero: a
            head that was never trained says nothing, and two networks with the same weights have the same file.
    """

    layer_names: tuple[str, ...]
    side_heads: nn.ModuleDict

    def layer_modules(self) -> dict[str, nn.Module]:
        """The module of each layer whose output is the layer's feature maps (N, C, h, w): for hooks."""
        raise NotImplementedError

    def layer_parts(self) -> dict[str, list[nn.Module]]:
        """The modules that compute each layer from the one before, and hold its weights."""
        return {layer: [module] for layer, module in self.layer_modules().items()}

    def final_head(self) -> nn.Linear | None:
        """The linear classifier on the last layer's pooled feature maps; None where the network ends otherwise."""
        raise NotImplementedError

    def trace(self, images: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """Feature maps of every layer (N, C, h, w) and the network's logits (N, K), in one forward pass."""
        raise NotImplementedError

    @property
    def heads(self) -> dict[str, nn.Linear]:
        """The pooled linear head of each layer that has one, first to last."""
        final = self.final_head()
        return dict(self.side_heads.items()) | ({} if final is None else {self.layer_names[-1]: final})

    def feature_maps(self, images: Tensor) -> dict[str, Tensor]:
        """Feature maps of every layer, first to last: (N, C, h, w) each."""
        return self.trace(images)[0]

    def layer_logits(self, images: Tensor, layers: tuple[str, ...] | None = None) -> dict[str, Tensor]:
        """Logits (N, K) of the heads of `layers` (all, where None), in one forward pass.

        The last layer's are the network's own logits, whether or not its classifier is a pooled linear head.
        """
        maps, logits = self.trace(images)
        return {
            layer: logits if layer == self.layer_names[-1] else self.side_heads[layer](pool(maps[layer]))
            for layer in self.layer_names
            if layers is None or layer in layers
        }

    def forward(self, images: Tensor, return_cam: bool = False) -> Tensor | tuple[Tensor, Tensor]:
        """Logits (N, K) of images (N, 3, H, W); with `return_cam`, also the last layer's feature maps (N, C, h, w)."""
        maps, logits = self.trace(images)
        return (logits, maps[self.layer_names[-1]]) if return_cam else logits


def pool(feature_maps: Tensor) -> Tensor:
    """Global average pooling: (N, C, h, w) to (N, C)."""
    return feature_maps.mean((2, 3))


def side_heads(channels: dict[str, int], class_count: int) -> nn.ModuleDict:
    """A linear head of zeros for each layer but the last.

    Args:
        channels: channels of each layer's feature maps, first to last.
        class_count: K, the logits of a head.
    """
    heads = {layer: nn.Linear(width, class_count) for layer, width in list(channels.items())[:-1]}
    for head in heads.values():
        torch.nn.init.zeros_(head.weight)
        torch.nn.init.zeros_(head.bias)
    return nn.ModuleDict(heads)


# Module, its positional inputs, its output; what it returns, unless None, stands in for the output.
Hook = Callable[[nn.Module, Any, Any], Any]


@contextmanager
def hooked(hooks: Iterable[tuple[nn.Module, Hook]]) -> Iterator[None]:
    """Call each hook whenever its module has run inside the `with`; none is left after it, also after an error."""
    handles = []
    try:
        for module, hook in hooks:
            handles.append(module.register_forward_hook(hook))
        yield
    finally:
        for handle in handles:
            handle.remove()
