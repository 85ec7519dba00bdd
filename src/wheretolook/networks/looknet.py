"""LookNet, the project's own network: convolution blocks, global average pooling, one linear classifier."""

from typing import Any

from torch import Tensor, nn

from wheretolook.networks.layered import Network, pool, side_heads


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
