"""How strongly a layer answers at each place, whatever the class."""

import torch
from torch import Tensor

from wheretolook.cams.methods.method import Method, Needs


def activation(feature_maps: Tensor) -> Tensor:
    """Mean of the feature maps over channels: M(x, y) = (1 / C) sum_c f_c(x, y).

    Args:
        feature_maps: (N, C, h, w).

    Returns:
        (N, h, w), in units of the feature maps. Knows no class.
    """
    return feature_maps.mean(1)


ACTIVATION = Method("activation", Needs.NOTHING, activation, "activation", "the mean over channels; no paper")


def eigencam(feature_maps: Tensor) -> Tensor:
    """EigenCAM (Muhammad and Yeasin 2020, arXiv:2008.00299): M = O V_1, O the (h w, C) feature maps of an image.

    V_1 is the first right singular vector of O, which is not centred, as in the paper. An SVD leaves the sign open:
    here it is such that the map goes along with the mean activation.

    Args:
        feature_maps: (N, C, h, w).

    Returns:
        (N, h, w), in units of the feature maps. Knows no class. Costs an SVD an image.
    """
    n, _, h, w = feature_maps.shape
    places = feature_maps.flatten(2).transpose(1, 2)  # (N, h*w, C)
    direction = torch.linalg.svd(places, full_matrices=False).Vh[:, 0]  # (N, C)
    maps = torch.bmm(places, direction.unsqueeze(2)).squeeze(2)  # (N, h*w)
    along = (maps * places.mean(2)).sum(1, keepdim=True)
    return torch.where(along < 0, -maps, maps).view(n, h, w)


EIGENCAM = Method("eigencam", Needs.NOTHING, eigencam, "activation", "Muhammad and Yeasin 2020, arXiv:2008.00299")
