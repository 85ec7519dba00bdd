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
    if feature_maps.stride(1) == 1:  # channels last: a matrix product reads the feature maps once, and writes a map
        n, _, h, w = feature_maps.shape
        return torch.bmm(weights.to(dtype)[:, None], feature_maps.to(dtype).flatten(2)).view(n, h, w)
    # In this layout, other tools' own, the sum rounds as theirs does: maps are equal to the last bit or two.
    return (feature_maps * weights.to(dtype)[:, :, None, None]).sum(1, dtype=dtype)
