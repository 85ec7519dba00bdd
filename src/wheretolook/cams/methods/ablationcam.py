"""Ablation-CAM: channels weighted by what the logit loses without them."""

from torch import Tensor

from wheretolook.cams.methods.method import Method, Needs
from wheretolook.cams.methods.weighted import weighted_sum


def ablationcam(feature_maps: Tensor, logit: Tensor, ablated_logits: Tensor) -> Tensor:
    """Ablation-CAM (Desai and Ramaswamy 2020, doi:10.1109/WACV45572.2020.9093360), without rectifier and division.

    M(x, y) = sum_c w_c f_c(x, y), w_c = y - y_c, with y_c the logit when channel c is set to zero.

    The paper divides by y. That is one factor for the whole map, and turns it into its negative where the logit is
    below zero: what speaks for the class would be shown as what speaks against it.

    Args:
        feature_maps: (N, C, h, w).
        logit: (N,), y.
        ablated_logits: (N, C), y_c.

    Returns:
        (N, h, w), in logits times the units of the feature maps.
    """
    return weighted_sum(feature_maps, logit.unsqueeze(1) - ablated_logits)


METHOD = Method(
    "ablationcam",
    Needs.ABLATED_LOGITS,
    ablationcam,
    "logits times activation",
    "Desai and Ramaswamy 2020, doi:10.1109/WACV45572.2020.9093360",
)
