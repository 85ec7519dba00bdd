"""Ablation-CAM: channels weighted by what the logit loses without them."""

from torch import Tensor

from wheretolook.cams.methods.method import Method, Needs
from wheretolook.cams.methods.weighted import weighted_sum


def ablationcam(feature_maps: Tensor, logit: Tensor, ablated_logits: Tensor) -> Tensor:
    """Ablation-CAM (Desai and Ramaswamy 2020, doi:10.1109/WACV45572.2020.9093360), without its rectifier.

    M(x, y) = sum_c w_c f_c(x, y), w_c = (y - y_c) / y, with y_c the logit when channel c is set to zero.

    Args:
        feature_maps: (N, C, h, w).
        logit: (N,), y, not zero.
        ablated_logits: (N, C), y_c.

    Returns:
        (N, h, w), in units of the feature maps.
    """
    return weighted_sum(feature_maps, (logit.unsqueeze(1) - ablated_logits) / logit.unsqueeze(1))


METHOD = Method(
    "ablationcam",
    Needs.ABLATED_LOGITS,
    ablationcam,
    "activation",
    "Desai and Ramaswamy 2020, doi:10.1109/WACV45572.2020.9093360",
)
