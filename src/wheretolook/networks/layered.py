"""Base class of all networks, with named layers, feature maps and heads; and LookNet, the project's own network."""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn


class Network(nn.Module):
    """A classifier with named layers, each with feature maps and, where possible, a pooled linear head.

    A subclass sets `layer_names` and `side_heads`, and implements `layer_modules`, `final_head` and `trace`; also
    `layer_parts` if the modules of `layer_modules` have no weights.

    Attributes:
        layer_names: first to last; without dots.
        side_heads: a linear head on the pooled feature maps of each layer but the last. Initialised to zero, so that
            an untrained head has no effect and does not depend on the seed.
    """

    layer_names: tuple[str, ...]
    side_heads: nn.ModuleDict

    def layer_modules(self) -> dict[str, nn.Module]:
        """For each layer, the module whose output is the layer's feature maps (N, C, h, w); for hooks."""
        raise NotImplementedError

    def layer_parts(self) -> dict[str, list[nn.Module]]:
        """For each layer, the modules that compute it from the previous layer, with its weights."""
        return {layer: [module] for layer, module in self.layer_modules().items()}

    def final_head(self) -> nn.Linear | None:
        """The linear classifier on the last layer's pooled feature maps; None if the classifier is of another form."""
        raise NotImplementedError

    def trace(self, images: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """Feature maps of every layer (N, C, h, w) and the network's logits (N, K), in one forward pass."""
        raise NotImplementedError

    @property
    def heads(self) -> dict[str, nn.Linear]:
        """The pooled linear head of each layer that has one, first to last."""
        final = self.final_head()
        heads: dict[str, Any] = dict(self.side_heads.items())
        return heads | ({} if final is None else {self.layer_names[-1]: final})

    def feature_maps(self, images: Tensor) -> dict[str, Tensor]:
        """Feature maps of every layer, first to last: (N, C, h, w) each."""
        return self.trace(images)[0]

    def layer_logits(self, images: Tensor, layers: tuple[str, ...] | None = None) -> dict[str, Tensor]:
        """Logits (N, K) of the heads of `layers` (all if None), in one forward pass.

        Those of the last layer are the network's logits, even if its classifier is not a pooled linear head.
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


def two_logits(single: Tensor, dimension: int) -> Tensor:
    """Logits -z/2 and z/2 of a single output z, whose softmax equals the sigmoid of z; of a head's weight, likewise."""
    return torch.cat([-single / 2, single / 2], dimension)


def side_heads(channels: dict[str, int], class_count: int) -> nn.ModuleDict:
    """A linear head for each layer but the last, initialised to zero.

    Args:
        channels: number of channels of each layer's feature maps, first to last.
        class_count: K, number of logits.
    """
    heads = {layer: nn.Linear(width, class_count) for layer, width in list(channels.items())[:-1]}
    for head in heads.values():
        torch.nn.init.zeros_(head.weight)
        torch.nn.init.zeros_(head.bias)
    return nn.ModuleDict(heads)


# A forward hook: (module, positional inputs, output); a return value other than None replaces the output.
Hook = Callable[[nn.Module, Any, Any], Any]


@contextmanager
def hooked(hooks: Iterable[tuple[nn.Module, Hook]]) -> Iterator[None]:
    """Register forward hooks; all are removed at the end of the block, also after an error."""
    handles = []
    try:
        for module, hook in hooks:
            handles.append(module.register_forward_hook(hook))
        yield
    finally:
        for handle in handles:
            handle.remove()


class LookNet(Network):
    """A chain of convolution blocks, designed for class activation maps.

    Each block halves the resolution and, from the second on, doubles the channels: an image of 224 pixels at width 32
    and depth 4 gives 256 x 14 x 14 feature maps. The classifier is linear on their spatial mean, so each logit is the
    mean of a class activation map plus a bias (Zhou et al. 2016, arXiv:1512.04150). Each earlier block has its own
    pooled linear head.

    Args:
        class_count: K, at least 2.
        width: channels of the first block.
        depth: number of blocks; the layers are `block1` to `blockDEPTH`.
    """

    def __init__(self, class_count: int, width: int, depth: int):
        super().__init__()
        channels = {f"block{i + 1}": width * 2**i for i in range(depth)}
        self.layer_names = tuple(channels)
        incoming = [3, *channels.values()]
        self.blocks = nn.ModuleDict()
        for number, (layer, outgoing) in enumerate(channels.items()):
            self.blocks[layer] = first_block(outgoing) if number == 0 else convolution_block(incoming[number], outgoing)
        self.side_heads = side_heads(channels, class_count)
        # A Sequential, for the name `classifier.0` in model files.
        self.classifier = nn.Sequential(nn.Linear(incoming[-1], class_count))

    def layer_modules(self) -> dict[str, nn.Module]:
        """The blocks."""
        return dict(self.blocks.items())

    def final_head(self) -> nn.Linear:
        """The linear layer of the classifier."""
        final: Any = self.classifier[-1]
        return final

    def trace(self, images: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """Feature maps of every block, and the logits."""
        maps: dict[str, Tensor] = {}
        x = images
        for layer, block in self.blocks.items():
            x = maps[layer] = block(x)
        return maps, self.classifier(pool(x))


def first_block(outgoing: int) -> nn.Sequential:
    """A strided convolution on the image, batch normalisation and ReLU.

    The kernel size is even (4 x 4, stride 2), like the later max pooling over 2 x 2, so that each position of a map is
    centred on its receptive field. A 3 x 3 kernel with stride 2 shifts the maps by half an input pixel per block, up
    to half a position of the last map.
    """
    return nn.Sequential(
        nn.Conv2d(3, outgoing, kernel_size=4, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(outgoing),
        nn.ReLU(inplace=True),
    )


def convolution_block(incoming: int, outgoing: int) -> nn.Sequential:
    """Convolution, batch normalisation, max pooling over 2 x 2, and ReLU.

    One convolution per block keeps the receptive field small (46 pixels at depth 4), and the maps sharp.
    """
    return nn.Sequential(
        nn.Conv2d(incoming, outgoing, kernel_size=3, padding=1, bias=False),
        nn.BatchNorm2d(outgoing),
        # Pooling before the ReLU gives the same values with a quarter of the ReLU's work.
        nn.MaxPool2d(2),
        nn.ReLU(inplace=True),
    )


def load_weights(network: nn.Module, state: Mapping[str, Tensor], assign: bool = False) -> None:
    """As `network.load_state_dict`, for tensors that were in a file or dictionary without the versions of modules.

    A module that reads its version from the state dict (torchvision's mnasnet) gets the network's own.
    """
    versioned = OrderedDict(state)
    setattr(versioned, "_metadata", getattr(network.state_dict(), "_metadata"))  # noqa: B009, B010
    network.load_state_dict(versioned, assign=assign)
