"""Score-CAM: channels weighted by the logit of the image seen through them."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from wheretolook.cams.methods.gradients import weighted_sum
from wheretolook.cams.methods.method import Method, Needs
from wheretolook.layers.layer import Layer
from wheretolook.networks.layered import hooked


def scorecam(feature_maps: Tensor, logit: Tensor, masked_logits: Tensor) -> Tensor:
    """Score-CAM (Wang et al. 2020, arXiv:1910.01279), without its rectifier.

    M(x, y) = sum_c w_c f_c(x, y), w = softmax over c of the logit's change when the image is masked by channel c.

    Args:
        feature_maps: (N, C, h, w).
        logit: (N,), the explained logit of the image as it is.
        masked_logits: (N, C), the explained logit of the image times `channel_masks`.

    Returns:
        (N, h, w), in units of the feature maps.
    """
    return weighted_sum(feature_maps, torch.softmax(masked_logits - logit.unsqueeze(1), 1))


def channel_masks(feature_maps: Tensor, size: tuple[int, int]) -> Tensor:
    """Each channel as a mask on the image: resized to it (bilinear, corners not aligned), then brought to 0..1.

    Args:
        feature_maps: (N, C, h, w).
        size: (H, W) of the images.

    Returns:
        (N, C, H, W); a constant channel masks everything: zeros.
    """
    masks = interpolate(feature_maps, size, mode="bilinear", align_corners=False)
    low, high = masks.amin((2, 3), keepdim=True), masks.amax((2, 3), keepdim=True)
    return (masks - low) / torch.where(high > low, high - low, 1)


SCORECAM = Method("scorecam", Needs.MASKED_LOGITS, scorecam, "activation", "Wang et al. 2020, arXiv:1910.01279")


def ablationcam(feature_maps: Tensor, logit: Tensor, ablated_logits: Tensor) -> Tensor:
    """Ablation-CAM (Desai and Ramaswamy 2020, doi:10.1109/WACV45572.2020.9093360), without rectifier and division.

    M(x, y) = sum_c w_c f_c(x, y), w_c = y - y_c, with y_c the logit when channel c is set to zero.

    The paper divides by y. That is one factor for the whole map, and turns it into its negative where the logit is
    below zero: what speaks for the class would be shown as what speaks against it.

    Args:
        feature_maps: (N, C, h, w).
        logit: (N,), y.
        ablated_logits: (N, C), y_c.

    Returns:
        (N, h, w), in logits times the units of the feature maps.
    """
    return weighted_sum(feature_maps, logit.unsqueeze(1) - ablated_logits)


ABLATIONCAM = Method(
    "ablationcam",
    Needs.ABLATED_LOGITS,
    ablationcam,
    "logits times activation",
    "Desai and Ramaswamy 2020, doi:10.1109/WACV45572.2020.9093360",
)


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
