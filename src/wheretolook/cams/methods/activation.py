"""How strongly a layer answers at each place, whatever the class."""

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


METHOD = Method("activation", Needs.NOTHING, activation, "activation", "the mean over channels; no paper")
