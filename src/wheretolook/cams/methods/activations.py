"""Class-independent maps: computed from the feature maps alone."""

import torch
from torch import Tensor

from wheretolook.cams.methods.method import Method, Needs


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
