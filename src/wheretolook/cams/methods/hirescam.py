"""HiResCAM: gradient times activation, place by place."""

from torch import Tensor

from wheretolook.cams.methods.method import Method, Needs


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


METHOD = Method(
    "hirescam", Needs.GRADIENTS, hirescam, "logits", "Draelos and Carin 2020, arXiv:2011.08891", linear=True
)
