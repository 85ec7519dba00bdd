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
    # Not a matrix product, which rounds in another order: so, maps equal those of other tools to the last bit or two.
    return (feature_maps * weights.to(dtype)[:, :, None, None]).sum(1, dtype=dtype)
