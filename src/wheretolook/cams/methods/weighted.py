"""The sum that most methods end in."""

import torch
from torch import Tensor


def weighted_sum(feature_maps: Tensor, weights: Tensor) -> Tensor:
    """Sum of an image's feature maps, each times its channel's weight.

    Args:
        feature_maps: (N, C, h, w), any floating type.
        weights: (N, C).

    Returns:
        (N, h, w) float32, or float64 where the feature maps are.
    """
    dtype = torch.promote_types(feature_maps.dtype, torch.float32)
    n, _, h, w = feature_maps.shape
    flat = feature_maps.to(dtype).flatten(2)  # (N, C, h*w)
    return torch.bmm(weights.to(dtype).unsqueeze(1), flat).view(n, h, w)
