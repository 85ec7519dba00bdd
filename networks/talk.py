"""Two small networks of a talk on class activation maps: one loss at the end, or one loss on every block.

Both see RGB images of 128 x 128 pixels with values in [0, 1]: mean 0, standard deviation 1. Name them in params.yaml as
`architecture: networks/talk.py:LastLoss`; their checkpoints, {net_state_dict, optim_state_dict, ...}, load as they are.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout2d

CHANNELS = (32, 64, 128, 256)
# Probability with which dropout leaves out a channel between blocks, and a feature before the classifier.
DROPOUT = 0.2


def block(incoming: int, outgoing: int) -> nn.Sequential:
    """Convolution 5 x 5, the maximum over 2 x 2, batch normalisation, ReLU: halves the resolution."""
    return nn.Sequential(
        nn.Conv2d(incoming, outgoing, kernel_size=5, padding=2),
        nn.MaxPool2d(2),
        nn.BatchNorm2d(outgoing),
        nn.ReLU(),
    )


class LastLoss(nn.Module):
    """Four blocks with dropout between them, global average pooling and one linear classifier.

    Args:
        class_count: K.
    """

    def __init__(self, class_count: int = 2):
        super().__init__()
        incoming = (3, *CHANNELS[:-1])
        for number, (before, after) in enumerate(zip(incoming, CHANNELS, strict=True), start=1):
            setattr(self, f"block{number}", block(before, after))
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(nn.Flatten(), nn.Dropout(DROPOUT), nn.Linear(CHANNELS[-1], class_count))

    def blocks(self, images: Tensor) -> list[Tensor]:
        """Feature maps of every block, (N, 32, 64, 64) to (N, 256, 8, 8)."""
        maps = [self.block1(images)]
        for following in (self.block2, self.block3, self.block4):
            maps.append(following(dropout2d(maps[-1], DROPOUT, self.training)))
        return maps

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, K) of images (N, 3, 128, 128)."""
        return self.classifier(self.pool(self.blocks(images)[-1]))


class EveryLoss(LastLoss):
    """The same, with a loss on every block.

    `transform1` to `transform3` make the pooled maps of the first three blocks as wide as those of the last, so that
    all four share one classifier.

    Args:
        class_count: K.
    """

    def __init__(self, class_count: int = 2):
        super().__init__(class_count)
        for number, channels in enumerate(CHANNELS[:-1], start=1):
            setattr(self, f"transform{number}", nn.Linear(channels, CHANNELS[-1]))

    def layer_heads(self) -> dict[str, tuple[Tensor, Tensor]]:
        """Weight (K, C) and bias (K,) of the head of each earlier block: its transform and the classifier in one."""
        final = self.classifier[-1]
        heads = {}
        for number in range(1, len(CHANNELS)):
            transform = getattr(self, f"transform{number}")
            heads[f"block{number}"] = (final.weight @ transform.weight, final.weight @ transform.bias + final.bias)
        return heads

    def every(self, images: Tensor) -> Tensor:
        """Logits of every block, first to last: (4, N, K)."""
        *earlier, last = (self.pool(maps).flatten(1) for maps in self.blocks(images))
        transforms = (self.transform1, self.transform2, self.transform3)
        wide = [transform(pooled) for transform, pooled in zip(transforms, earlier, strict=True)]
        return torch.stack([self.classifier(features) for features in (*wide, last)])
