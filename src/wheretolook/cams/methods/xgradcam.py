"""XGrad-CAM: gradients weighted by where the channel is active."""

import torch
from torch import Tensor

from wheretolook.cams.methods.method import Method, Needs
from wheretolook.cams.methods.weighted import weighted_sum


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


METHOD = Method("xgradcam", Needs.GRADIENTS, xgradcam, "logits", "Fu et al. 2020, arXiv:2008.02312", linear=True)
