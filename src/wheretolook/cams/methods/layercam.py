"""LayerCAM: positive gradient times activation, place by place."""

from torch import Tensor

from wheretolook.cams.methods.method import Method, Needs


def layercam(feature_maps: Tensor, gradients: Tensor) -> Tensor:
    """LayerCAM (Jiang et al. 2021, doi:10.1109/TIP.2021.3089943): M(x, y) = sum_c relu(g_c) f_c.

    Args:
        feature_maps: (N, C, h, w).
        gradients: (N, C, h, w), of the explained logit.

    Returns:
        (N, h, w), in logit units; negative only where feature maps are.
    """
    return (gradients.relu() * feature_maps).sum(1)


METHOD = Method("layercam", Needs.GRADIENTS, layercam, "logits", "Jiang et al. 2021, doi:10.1109/TIP.2021.3089943")
