"""The class activation map itself, of a linear head on pooled features."""

from torch import Tensor

from wheretolook.cams.methods.method import Method, Needs
from wheretolook.cams.methods.weighted import weighted_sum


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


METHOD = Method("cam", Needs.CLASS_WEIGHTS, cam, "logits", "Zhou et al. 2016, arXiv:1512.04150", linear=True)
