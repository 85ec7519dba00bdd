"""torchvision's classification networks, with their layers named and a pooled linear head on each."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torchvision import models

from wheretolook.base.errors import InputError
from wheretolook.networks.layered import Network, side_heads
from wheretolook.networks.torchvision_families import FAMILIES, PROBE, Family


class TorchvisionNetwork(Network):
    """A network of torchvision, run layer by layer; its logits are those of torchvision's own forward pass.

    Args:
        body: the network as torchvision builds it; its weights keep torchvision's names, after `body.`.
        family: how it is cut into layers.
        cut: the names of the modules that lead to each layer.
        channels: of each layer's feature maps.
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
        """What gives each layer's feature maps; all that follows is computed from them."""
        return dict(self.views.items())

    def layer_parts(self) -> dict[str, list[nn.Module]]:
        """The parts of torchvision's network that lead to each layer."""
        return {layer: [self.body.get_submodule(name) for name in names] for layer, names in self.cut.items()}

    def final_head(self) -> nn.Linear | None:
        """The classifier, where it is linear on the last layer's pooled feature maps."""
        return self.family.final_head(self.body)

    def trace(self, images: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """Feature maps of every layer, and the logits."""
        maps, flow = {}, images if self.family.start is None else self.family.start(self.body, images)
        for layer, names in self.cut.items():
            for name in names:
                flow = self.body.get_submodule(name)(flow)
            maps[layer] = self.views[layer](flow)
            flow = self.family.rejoin(maps[layer], flow)
        return maps, self.family.classify(self.body, flow)


def build_torchvision_network(architecture: str, class_count: int, arguments: Mapping[str, Any]) -> TorchvisionNetwork:
    """A network of torchvision by name, with random weights.

    Args:
        architecture: such as "resnet18"; one of FAMILIES.
        class_count: K.
        arguments: keyword arguments of torchvision's builder, such as `image_size` of a vision transformer.

    Raises:
        InputError: a name that torchvision lacks, a family that isn't known here, or arguments that are not taken.
    """
    family = find_family(architecture)
    # On the meta device, without memory or work: where it is cut, and how many channels each layer has.
    with torch.device("meta"), torch.no_grad():
        skeleton = _body(architecture, class_count, arguments).eval()
        cut = family.cut(skeleton)
        probe = TorchvisionNetwork(skeleton, family, cut, dict.fromkeys(cut, 1), class_count)
        side = getattr(skeleton, "image_size", PROBE)
        images = torch.empty(1, 3, side, side, device=next(skeleton.parameters()).device)
        channels = {layer: maps.shape[1] for layer, maps in probe.feature_maps(images).items()}
    return TorchvisionNetwork(_body(architecture, class_count, arguments), family, cut, channels, class_count)


def find_family(architecture: str) -> Family:
    """How a network of torchvision is cut into layers, by its name.

    Raises:
        InputError: a name that torchvision lacks, or of a family that isn't known here; the message lists the known ones.
    """
    known = known_architectures()
    if architecture not in known:
        raise InputError(
            f'architecture "{architecture}"',
            expected=(
                f"looknet or a network of torchvision that is cut into layers, one of {', '.join(sorted(known))}"
            ),
        )
    return known[architecture]


def known_architectures() -> dict[str, Family]:
    """The networks of torchvision that are cut into layers, by name."""
    return {name: family for name in models.list_models(module=models) if (family := _by_prefix(name)) is not None}


def _by_prefix(name: str) -> Family | None:
    return next((family for prefix, family in FAMILIES.items() if name.startswith(prefix)), None)


def _body(architecture: str, class_count: int, arguments: Mapping[str, Any]) -> nn.Module:
    try:
        return _build(architecture, class_count, arguments)
    except NotImplementedError:
        # A regnet works its widths out with tensors, which the meta device cannot.
        with torch.device("cpu"):
            return _build(architecture, class_count, arguments)
    except (TypeError, ValueError, AssertionError) as error:
        raise InputError(
            architecture, expected="arguments that torchvision's builder takes", found=f"{dict(arguments)}: {error}"
        ) from error


def _build(architecture: str, class_count: int, arguments: Mapping[str, Any]) -> nn.Module:
    return models.get_model(architecture, weights=None, num_classes=class_count, **arguments)
