"""Grad-CAM: channels weighted by their mean gradient."""

from torch import Tensor

from wheretolook.cams.methods.method import Method, Needs
from wheretolook.cams.methods.weighted import weighted_sum


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


METHOD = Method("gradcam", Needs.GRADIENTS, gradcam, "logits", "Selvaraju et al. 2017, arXiv:1610.02391", linear=True)
