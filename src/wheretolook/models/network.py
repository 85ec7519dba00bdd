"""Networks by name."""

from collections.abc import Mapping
from typing import Any

from wheretolook.data.refusal import Refusal
from wheretolook.models.layered import Network
from wheretolook.models.looknet import LookNet
from wheretolook.models.looknet_arguments import LOOKNET, check_looknet_arguments


def build_network(architecture: str, class_count: int, arguments: Mapping[str, Any]) -> Network:
    """A network with random weights, drawn from PyTorch's global generator.

    Args:
        architecture: "looknet", or the name of a torchvision network of a known family, like "resnet18".
        class_count: K, the number of classes.
        arguments: keyword arguments of the architecture; looknet takes `width` and `depth`.

    Raises:
        Refusal: an architecture that isn't known, or arguments that it does not take.
    """
    if class_count < 2:
        raise Refusal(f"{architecture}: expected two classes or more, found {class_count}")
    if architecture == LOOKNET:
        check_looknet_arguments(arguments)
        return LookNet(class_count, **arguments)
    # torchvision costs seconds to import: only who names one of its networks pays for it.
    from wheretolook.models.torchvision_networks import build_torchvision_network

    return build_torchvision_network(architecture, class_count, arguments)


def check_architecture(architecture: str) -> None:
    """Refuse a name that `build_network` would not know, without building anything.

    Raises:
        Refusal: an architecture that isn't known.
    """
    if architecture != LOOKNET:
        from wheretolook.models.torchvision_networks import find_family

        find_family(architecture)
