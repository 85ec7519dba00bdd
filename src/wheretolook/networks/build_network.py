"""Networks by name."""

from collections.abc import Mapping
from typing import Any

from wheretolook.base.errors import InputError
from wheretolook.networks.architectures import parse_architecture
from wheretolook.networks.layered import Network
from wheretolook.networks.looknet import LookNet
from wheretolook.networks.looknet_arguments import LOOKNET, check_looknet_arguments


def build_network(architecture: str, class_count: int, arguments: Mapping[str, Any]) -> Network:
    """A network with random weights, drawn from PyTorch's global generator.

    Args:
        architecture: as `parse_architecture` reads it.
        class_count: K, the number of classes.
        arguments: keyword arguments of the architecture; looknet takes `width` and `depth`. Of a network that is not
            the project's, what `cams.wrap.wrapped_arguments` gives.

    Raises:
        InputError: an architecture that isn't known, or arguments that it does not take.
    """
    if class_count < 2:
        raise InputError(architecture, expected="two classes or more", found=class_count)
    if architecture == LOOKNET:
        check_looknet_arguments(arguments)
        return LookNet(class_count, **arguments)
    source = parse_architecture(architecture)
    if not is_wrapped(architecture):
        # torchvision costs seconds to import: only who names one of its networks pays for it.
        from wheretolook.networks.torchvision_networks import build_torchvision_network

        return build_torchvision_network(source.name, class_count, arguments)
    from wheretolook.networks.bare_networks import build_bare
    from wheretolook.networks.module_network import LayerSpec, ModuleNetwork

    if set(arguments) != {"keywords", "layers", "classifier"}:
        raise InputError(architecture, "arguments keywords, layers and classifier", ", ".join(arguments) or "none")
    body = build_bare(source, class_count, arguments["keywords"])
    layers = [LayerSpec(*values) for values in arguments["layers"]]
    return ModuleNetwork(body, layers, arguments["classifier"], class_count)


def is_wrapped(architecture: str) -> bool:
    """Whether a network is run as others wrote it, its layers found by trying, and not by a definition here."""
    source = parse_architecture(architecture)
    if source.kind != "torchvision":
        return source.kind != LOOKNET
    if "/" not in architecture:
        return False
    from wheretolook.networks.torchvision_networks import known_architectures

    return source.name not in known_architectures()


def check_architecture(architecture: str) -> None:
    """Refuse a name that `build_network` would not know, without building anything.

    Raises:
        InputError: an architecture that isn't known.
    """
    if architecture == LOOKNET:
        return
    source = parse_architecture(architecture)
    if is_wrapped(architecture):
        from wheretolook.networks.bare_networks import check_bare

        check_bare(source)
    else:
        from wheretolook.networks.torchvision_networks import find_family

        find_family(source.name)


def find_pretrained(architecture: str, weights: str) -> Any:
    """torchvision's entry for pretrained weights, with `url` and `transforms`; downloads nothing.

    Args:
        architecture: of the network.
        weights: as torchvision names them, such as "IMAGENET1K_V1".

    Raises:
        InputError: an architecture without pretrained weights, or a name that is unknown for it.
    """
    check_architecture(architecture)
    if architecture == LOOKNET or is_wrapped(architecture):
        raise InputError(architecture, expected="`weights: random`, as it has no others", found=f'"{weights}"')
    from torchvision import models

    # DEFAULT is another file in another version of torchvision.
    known = {entry.name: entry for entry in models.get_model_weights(parse_architecture(architecture).name)}
    if weights not in known:
        raise InputError(architecture, expected=f"weights {', '.join(['random', *known])}", found=f'"{weights}"')
    return known[weights]
