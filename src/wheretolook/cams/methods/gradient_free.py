"""Methods without gradients: maps of the activations alone, and channels weighted by perturbations of the image."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from wheretolook.cams.methods.gradients import weighted_sum
from wheretolook.cams.methods.method import Method, Needs
from wheretolook.networks.layered import hooked
from wheretolook.networks.layers.layer import Layer


def activation(feature_maps: Tensor) -> Tensor:
    """Mean of the feature maps over channels: M(x, y) = (1 / C) sum_c f_c(x, y).

    Args:
        feature_maps: (N, C, h, w).

    Returns:
        (N, h, w), in units of the feature maps; the same for every class.
    """
    return feature_maps.mean(1)


ACTIVATION = Method("activation", Needs.NOTHING, activation, "activation", "mean over channels (no paper)")


def eigencam(feature_maps: Tensor) -> Tensor:
    """EigenCAM (Muhammad and Yeasin 2020, arXiv:2008.00299): M = O V_1.

    O is the (h w, C) matrix of an image's feature maps, not centred (as in the paper); V_1 is its first right singular
    vector. An SVD leaves the sign open; here the map correlates positively with the mean activation.

    Args:
        feature_maps: (N, C, h, w).

    Returns:
        (N, h, w), in units of the feature maps; the same for every class. Costs one SVD per image.
    """
    n, _, h, w = feature_maps.shape
    positions = feature_maps.flatten(2).transpose(1, 2)  # (N, h*w, C)
    direction = torch.linalg.svd(positions, full_matrices=False).Vh[:, 0]  # (N, C)
    maps = torch.bmm(positions, direction.unsqueeze(2)).squeeze(2)  # (N, h*w)
    sign = (maps * positions.mean(2)).sum(1, keepdim=True)
    return torch.where(sign < 0, -maps, maps).view(n, h, w)


EIGENCAM = Method("eigencam", Needs.NOTHING, eigencam, "activation", "Muhammad and Yeasin 2020, arXiv:2008.00299")


def scorecam(feature_maps: Tensor, logit: Tensor, masked_logits: Tensor) -> Tensor:
    """Score-CAM (Wang et al. 2020, arXiv:1910.01279), without the final ReLU.

    M(x, y) = sum_c w_c f_c(x, y), w = softmax over c of the change of the logit when channel c masks
    the image.

    Args:
        feature_maps: (N, C, h, w).
        logit: (N,), the explained logit of the unmasked image.
        masked_logits: (N, C), the explained logit of the image multiplied by each of `channel_masks`.

    Returns:
        (N, h, w), in units of the feature maps.
    """
    return weighted_sum(feature_maps, torch.softmax(masked_logits - logit.unsqueeze(1), 1))


def channel_masks(feature_maps: Tensor, size: tuple[int, int]) -> Tensor:
    """Each channel as an image mask: resized (bilinear, align_corners=False), then scaled to 0..1.

    Args:
        feature_maps: (N, C, h, w).
        size: (H, W) of the images.

    Returns:
        (N, C, H, W); zeros for a constant channel.
    """
    masks = interpolate(feature_maps, size, mode="bilinear", align_corners=False)
    low, high = masks.amin((2, 3), keepdim=True), masks.amax((2, 3), keepdim=True)
    return (masks - low) / torch.where(high > low, high - low, 1)


SCORECAM = Method("scorecam", Needs.MASKED_LOGITS, scorecam, "activation", "Wang et al. 2020, arXiv:1910.01279")


def ablationcam(feature_maps: Tensor, logit: Tensor, ablated_logits: Tensor) -> Tensor:
    """Ablation-CAM (Desai and Ramaswamy 2020, doi:10.1109/WACV45572.2020.9093360), without ReLU and division.

    M(x, y) = sum_c w_c f_c(x, y), w_c = s - s_c, where s is the logit, and s_c the logit with channel c set to zero.

    The paper divides by s. That is a constant factor per map, but a negative one if the logit is negative: evidence for
    the class would then be shown as evidence against it.

    Args:
        feature_maps: (N, C, h, w).
        logit: (N,), s.
        ablated_logits: (N, C), s_c.

    Returns:
        (N, h, w), in logits times units of the feature maps.
    """
    return weighted_sum(feature_maps, logit.unsqueeze(1) - ablated_logits)


ABLATIONCAM = Method(
    "ablationcam",
    Needs.ABLATED_LOGITS,
    ablationcam,
    "logits times activation",
    "Desai and Ramaswamy 2020, doi:10.1109/WACV45572.2020.9093360",
)


BATCH = 64  # channels per forward pass


def masked_logits(
    network: Callable[[Tensor], Tensor], layer: Layer, images: Tensor, feature_maps: Tensor, class_index: Tensor
) -> Tensor:
    """Logits of each image, masked by each channel of a layer in turn.

    Args:
        network: from images to logits, in evaluation mode.
        layer: source of the feature maps.
        images: (n, 3, H, W), normalised.
        feature_maps: (n, C, h, w).
        class_index: (n, K), explained classes.

    Returns:
        (n, K, C) float32.
    """

    def forward(image: int, channels: Tensor) -> Tensor:
        masks = channel_masks(feature_maps[image : image + 1, channels], (images.shape[2], images.shape[3]))
        return network(images[image] * masks[0, :, None].to(images.dtype))

    return _by_channel(forward, feature_maps.shape[1], class_index)


def ablated_logits(
    network: Callable[[Tensor], Tensor], layer: Layer, images: Tensor, feature_maps: Tensor, class_index: Tensor
) -> Tensor:
    """Logits of each image, with each channel of a layer's output set to zero in turn.

    Arguments and result are those of `masked_logits`.
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
    """Collect (n, K, C) logits.

    Args:
        forward: image index and channel indices (m,) to logits (m, classes).
        count: C, channels of the layer.
        class_index: (n, K).
    """
    rows = []
    for image in range(len(class_index)):
        logits = torch.cat([forward(image, channels).float() for channels in _chunks(count, class_index.device)])
        rows.append(logits[:, class_index[image]].T)  # (K, C)
    return torch.stack(rows)


def _chunks(count: int, device: torch.device) -> Iterator[Tensor]:
    yield from torch.arange(count, device=device).split(BATCH)
