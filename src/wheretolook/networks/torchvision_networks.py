"""torchvision's classification networks with named layers and a pooled linear head on each."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torchvision import models

from wheretolook.base.errors import InputError
from wheretolook.networks.architectures import OWN_NETWORKS
from wheretolook.networks.layered import Network, side_heads
from wheretolook.networks.torchvision_families import FAMILIES, PROBE, Family


class TorchvisionNetwork(Network):
    """A network of torchvision, run layer by layer; its logits are those of torchvision's own forward pass.

    Args:
        body: the network from torchvision; its weights keep torchvision's names, prefixed by `body.`.
        family: how it is split into layers.
        cut: names of the modules that lead to each layer.
        channels: number of channels of each layer's feature maps.
        class_count: K.
    """

    def __init__(
        self, body: nn.Module, family: Family, cut: dict[str, list[str]], channels: dict[str, int], class_count: int
    ):
        super().__init__()
        self.body, self.family, self.cut = body, family, cut
        self.layer_names = tuple(cut)
        views = {layer: family.view() for layer in cut}
        if family.last_view is not None:
            views[self.layer_names[-1]] = family.last_view()
        self.views = nn.ModuleDict(views)
        self.side_heads = side_heads(channels, class_count)

    def layer_modules(self) -> dict[str, nn.Module]:
        """For each layer, the module that outputs its feature maps; later modules compute from this output."""
        return dict(self.views.items())

    def layer_parts(self) -> dict[str, list[nn.Module]]:
        """For each layer, the modules of torchvision's network that lead to it."""
        return {layer: [self.body.get_submodule(name) for name in names] for layer, names in self.cut.items()}

    def final_head(self) -> nn.Linear | None:
        """The classifier, if it is linear on the last layer's pooled feature maps."""
        return self.family.final_head(self.body)

    def trace(self, images: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """Feature maps of every layer, and the logits."""
        maps: dict[str, Tensor] = {}
        flow = images if self.family.start is None else self.family.start(self.body, images)
        for layer, names in self.cut.items():
            for name in names:
                flow = self.body.get_submodule(name)(flow)
            maps[layer] = self.views[layer](flow)
            flow = self.family.rejoin(maps[layer], flow)
        return maps, self.family.classify(self.body, flow)


def build_torchvision_network(architecture: str, class_count: int, arguments: Mapping[str, Any]) -> TorchvisionNetwork:
    """Build a network of torchvision by name, with random weights.

    Args:
        architecture: such as "resnet18"; of a family in FAMILIES.
        class_count: K.
        arguments: keyword arguments of torchvision's builder, such as `image_size` of a vision transformer.

    Raises:
        InputError: unknown network or family, or invalid arguments.
    """
    family = find_family(architecture)
    # The split into layers and the number of channels are found on the meta device, which needs no memory.
    with torch.device("meta"), torch.no_grad():
        skeleton = _body(architecture, class_count, arguments).eval()
        cut = family.cut(skeleton)
        probe = TorchvisionNetwork(skeleton, family, cut, dict.fromkeys(cut, 1), class_count)
        side = getattr(skeleton, "image_size", PROBE)
        images = torch.empty(1, 3, side, side, device=next(skeleton.parameters()).device)
        channels = {layer: maps.shape[1] for layer, maps in probe.feature_maps(images).items()}
    return TorchvisionNetwork(_body(architecture, class_count, arguments), family, cut, channels, class_count)


def find_family(architecture: str) -> Family:
    """The family of a network of torchvision, by the network's name.

    Raises:
        InputError: unknown network or family; `expected` lists the known networks.
    """
    known = known_architectures()
    if architecture not in known:
        own, families = ", ".join(OWN_NETWORKS), ", ".join(sorted(known))
        raise InputError(
            f'architecture "{architecture}"',
            expected=f"{own}, or a network of a known torchvision family: {families}",
            found="an unknown name",
        )
    return known[architecture]


def known_architectures() -> dict[str, Family]:
    """Networks of torchvision whose family is in FAMILIES, by name."""
    return {name: family for name in models.list_models(module=models) if (family := _by_prefix(name)) is not None}


def _by_prefix(name: str) -> Family | None:
    return next((family for prefix, family in FAMILIES.items() if name.startswith(prefix)), None)


def _body(architecture: str, class_count: int, arguments: Mapping[str, Any]) -> nn.Module:
    try:
        return _build(architecture, class_count, arguments)
    except NotImplementedError:
        # A regnet computes its widths with tensor operations that the meta device does not support.
        with torch.device("cpu"):
            return _build(architecture, class_count, arguments)
    except (TypeError, ValueError, AssertionError) as error:
        raise InputError(
            architecture, expected="arguments that torchvision accepts", found=f"{dict(arguments)} ({error})"
        ) from error


def _build(architecture: str, class_count: int, arguments: Mapping[str, Any]) -> nn.Module:
    return models.get_model(architecture, weights=None, num_classes=class_count, **arguments)
