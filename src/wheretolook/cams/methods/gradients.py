"""The sum that most methods end in."""

import torch
from torch import Tensor

from wheretolook.cams.methods.method import Method, Needs


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


def hirescam(feature_maps: Tensor, gradients: Tensor) -> Tensor:
    """HiResCAM (Draelos and Carin 2020, arXiv:2011.08891): M(x, y) = sum_c g_c(x, y) f_c(x, y).

    On a layer that the logit is linear in, a map sums up to the logit minus the bias.

    Args:
        feature_maps: (N, C, h, w).
        gradients: (N, C, h, w), of the explained logit.

    Returns:
        (N, h, w), in logit units.
    """
    return (gradients * feature_maps).sum(1)


HIRESCAM = Method(
    "hirescam", Needs.GRADIENTS, hirescam, "logits", "Draelos and Carin 2020, arXiv:2011.08891", linear=True
)


def layercam(feature_maps: Tensor, gradients: Tensor) -> Tensor:
    """LayerCAM (Jiang et al. 2021, doi:10.1109/TIP.2021.3089943): M(x, y) = sum_c relu(g_c) f_c.

    Args:
        feature_maps: (N, C, h, w).
        gradients: (N, C, h, w), of the explained logit.

    Returns:
        (N, h, w), in logit units; negative only where feature maps are.
    """
    return (gradients.relu() * feature_maps).sum(1)


LAYERCAM = Method("layercam", Needs.GRADIENTS, layercam, "logits", "Jiang et al. 2021, doi:10.1109/TIP.2021.3089943")


def cam(feature_maps: Tensor, class_weights: Tensor) -> Tensor:
    """Class activation map (Zhou et al. 2016, eq. 2, arXiv:1512.04150): M(x, y) = sum_c w_c f_c(x, y).

    The bias belongs to no place and is not added: a map's spatial mean plus the bias is the logit.

    Args:
        feature_maps: (N, C, h, w), those which the head pools.
        class_weights: (N, C), the head's weights of each image's explained class.

    Returns:
        (N, h, w), in logit units.
    """
    return weighted_sum(feature_maps, class_weights)


CAM = Method("cam", Needs.CLASS_WEIGHTS, cam, "logits", "Zhou et al. 2016, arXiv:1512.04150", linear=True)


def gradcam(feature_maps: Tensor, gradients: Tensor) -> Tensor:
    """Grad-CAM (Selvaraju et al. 2017, eq. 1 and 2, arXiv:1610.02391), without its rectifier.

    M(x, y) = sum_c a_c f_c(x, y), with a_c the spatial mean of the gradient of the logit by f_c. On a pooled linear
    head's own layer and logit this is CAM / (h w).

    Args:
        feature_maps: (N, C, h, w).
        gradients: (N, C, h, w), of the explained logit, not of a softmax score.

    Returns:
        (N, h, w), in logit units: a first-order share of the logit.
    """
    return weighted_sum(feature_maps, gradients.mean((2, 3)))


GRADCAM = Method("gradcam", Needs.GRADIENTS, gradcam, "logits", "Selvaraju et al. 2017, arXiv:1610.02391", linear=True)


def gradcam_plusplus(feature_maps: Tensor, gradients: Tensor) -> Tensor:
    """Grad-CAM++ (Chattopadhay et al. 2018, arXiv:1710.11063), without its final rectifier.

    M(x, y) = sum_c w_c f_c(x, y), w_c = sum_xy alpha_c relu(g_c), alpha_c = g_c^2 / (2 g_c^2 + g_c^3 sum_xy f_c).
    Where g_c is positive, alpha_c = 1 / (2 + g_c sum_xy f_c), and nowhere else does it count: so written, the
    denominator needs no small constant, and none changes the result. Meant for feature maps that are not negative
    (after a ReLU), as in the paper; for others the denominator can come near zero.

    Args:
        feature_maps: (N, C, h, w).
        gradients: (N, C, h, w), of the explained logit.

    Returns:
        (N, h, w), in logit units.
    """
    positive = gradients.relu()
    sums = feature_maps.sum((2, 3), keepdim=True, dtype=torch.promote_types(gradients.dtype, torch.float32))
    weights = (positive / (positive * sums + 2)).sum((2, 3))
    return weighted_sum(feature_maps, weights)


GRADCAM_PLUSPLUS = Method(
    "gradcam++", Needs.GRADIENTS, gradcam_plusplus, "logits", "Chattopadhay et al. 2018, arXiv:1710.11063"
)


def xgradcam(feature_maps: Tensor, gradients: Tensor) -> Tensor:
    """XGrad-CAM (Fu et al. 2020, arXiv:2008.02312).

    M(x, y) = sum_c w_c f_c(x, y), w_c = sum_xy g_c f_c / sum_xy f_c. A channel that is zero everywhere has no weight.

    Args:
        feature_maps: (N, C, h, w).
        gradients: (N, C, h, w), of the explained logit.

    Returns:
        (N, h, w), in logit units.
    """
    dtype = torch.promote_types(gradients.dtype, torch.float32)
    sums = feature_maps.sum((2, 3), dtype=dtype)
    products = (gradients * feature_maps).sum((2, 3), dtype=dtype)
    return weighted_sum(feature_maps, torch.where(sums == 0, 0, products / torch.where(sums == 0, 1, sums)))


XGRADCAM = Method("xgradcam", Needs.GRADIENTS, xgradcam, "logits", "Fu et al. 2020, arXiv:2008.02312", linear=True)
