"""The project's own network: convolution blocks, global average pooling, one linear classifier."""

from torch import Tensor, nn

from wheretolook.networks.layered import Network, pool, side_heads


class LookNet(Network):
    """A chain of convolution blocks, made to be looked into.

    Each block halves the resolution and, from the second on, doubles the channels: an image of 224 pixels at width
    32 and depth 4 ends as 256 x 14 x 14 feature maps. The classifier is linear on their spatial mean, so that each
    logit is the mean of a class activation map, plus a bias (Zhou et al. 2016, arXiv:1512.04150). Each earlier block
    carries a pooled linear head of its own.

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
        self.classifier = nn.Sequential(nn.Linear(incoming[-1], class_count))

    def layer_modules(self) -> dict[str, nn.Module]:
        """The blocks."""
        return dict(self.blocks.items())

    def final_head(self) -> nn.Linear:
        """The classifier's linear layer."""
        return self.classifier[-1]

    def trace(self, images: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """Feature maps of every block, and the logits."""
        maps, x = {}, images
        for layer, block in self.blocks.items():
            x = maps[layer] = block(x)
        return maps, self.classifier(pool(x))


def first_block(outgoing: int) -> nn.Sequential:
    """A strided convolution on the image, batch normalisation and ReLU.

    The stride is over 4 x 4 pixels, an even number, as later the maximum over 2 x 2: each place of a map stands over
    the middle of what it sees. A stride over 3 x 3 sets a block's maps off by half a pixel of its input, which adds up
    to half a place of the last map.
    """
    return nn.Sequential(
        nn.Conv2d(3, outgoing, kernel_size=4, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(outgoing),
        nn.ReLU(inplace=True),
    )


def convolution_block(incoming: int, outgoing: int) -> nn.Sequential:
    """Convolution, batch normalisation, the maximum over 2 x 2, and ReLU.

    One convolution a block keeps the field of view small (46 pixels at depth 4), and so the maps sharp.
    """
    return nn.Sequential(
        nn.Conv2d(incoming, outgoing, kernel_size=3, padding=1, bias=False),
        nn.BatchNorm2d(outgoing),
        # Before the ReLU: the same values, and a quarter of the ReLU's work.
        nn.MaxPool2d(2),
        nn.ReLU(inplace=True),
    )
