"""Logits of images masked by a channel, or without one: a forward pass a channel, in batches."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from wheretolook.cams.layers import Layer
from wheretolook.cams.methods.scorecam import channel_masks
from wheretolook.models.hooks import hooked

BATCH = 64


def masked_logits(
    network: nn.Module, layer: Layer, images: Tensor, feature_maps: Tensor, class_index: Tensor
) -> Tensor:
    """Explained logits of each image, masked by each channel of a layer in turn.

    Args:
        network: in evaluation mode.
        layer: where the feature maps come from.
        images: (n, 3, H, W).
        feature_maps: (n, C, h, w).
        class_index: (n, K).

    Returns:
        (n, K, C) float32.
    """

    def forward(image: int, channels: Tensor) -> Tensor:
        masks = channel_masks(feature_maps[image : image + 1, channels], tuple(images.shape[2:]))
        return network(images[image] * masks[0, :, None].to(images.dtype))

    return _by_channel(forward, feature_maps.shape[1], class_index)


def ablated_logits(
    network: nn.Module, layer: Layer, images: Tensor, feature_maps: Tensor, class_index: Tensor
) -> Tensor:
    """Explained logits of each image, with each channel of a layer's output set to zero in turn.

    Args and returns are those of `masked_logits`.
    """
    dimensions = (layer.layout.batch_dimension, layer.layout.channel_dimension)

    def forward(image: int, channels: Tensor) -> Tensor:
        def ablate(module: nn.Module, inputs: object, output: Tensor) -> Tensor:
            output = output.movedim(dimensions, (0, 1)).clone()  # (channels, C, ...)
            output[torch.arange(len(channels)), channels] = 0
            return output.movedim((0, 1), dimensions)

        with hooked([(layer.module, ablate)]):
            return network(images[image].repeat(len(channels), 1, 1, 1))

    return _by_channel(forward, feature_maps.shape[1], class_index)


def _by_channel(forward: Callable[[int, Tensor], Tensor], count: int, class_index: Tensor) -> Tensor:
    """Logits of (n, K) classes for each of `count` channels, from a forward pass over some channels of one image."""
    rows = []
    for image in range(len(class_index)):
        logits = torch.cat([forward(image, channels).float() for channels in _chunks(count, class_index.device)])
        rows.append(logits[:, class_index[image]].T)  # (K, C)
    return torch.stack(rows)


def _chunks(count: int, device: torch.device) -> Iterator[Tensor]:
    yield from torch.arange(count, device=device).split(BATCH)
