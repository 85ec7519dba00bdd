"""Score-CAM: channels weighted by the logit of the image seen through them."""

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from wheretolook.cams.methods.method import Method, Needs
from wheretolook.cams.methods.weighted import weighted_sum


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


METHOD = Method("scorecam", Needs.MASKED_LOGITS, scorecam, "activation", "Wang et al. 2020, arXiv:1910.01279")
