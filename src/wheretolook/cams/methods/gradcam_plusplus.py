"""Grad-CAM++: positive gradients, each place weighted by how much of the channel it explains."""

import torch
from torch import Tensor

from wheretolook.cams.methods.method import Method, Needs
from wheretolook.cams.methods.weighted import weighted_sum


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


METHOD = Method("gradcam++", Needs.GRADIENTS, gradcam_plusplus, "logits", "Chattopadhay et al. 2018, arXiv:1710.11063")
