"""Layers and head of a network that is not the project's, found by trying, as the arguments that build it again."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from wheretolook.base.errors import InputError
from wheretolook.networks.architectures import parse_architecture
from wheretolook.networks.bare_networks import build_bare
from wheretolook.networks.layers.layer import Layer, probe_layers
from wheretolook.networks.layers.layout import Hints, Layout, Order
from wheretolook.networks.layers.steadiness import capture, random_images, steady
from wheretolook.networks.module_network import SEQUENCE_FIRST, LayerSpec

_NO_HINTS = Hints()


def wrapped_arguments(
    architecture: str,
    class_count: int,
    keywords: Mapping[str, Any],
    layers: Sequence[str],
    size: int,
    hints: Hints = _NO_HINTS,
) -> dict[str, Any]:
    """The arguments with which `build_network` builds a network that is not the project's.

    Args:
        architecture: code, a network of timm, or one of torchvision that has no family here.
        class_count: K.
        keywords: arguments of the network itself.
        layers: names of its modules, dots allowed; empty: those that are found, the last of each resolution.
        size: side of the images, pixels.
        hints: the user's grid, prefix tokens and layout of the layers.

    Returns:
        "keywords" as given, "layers" as `LayerSpec` lists, and "classifier", the linear module on pooled feature maps.

    Raises:
        InputError: as `build_bare` and `probe_layers`; another number of outputs than classes.
    """
    source = parse_architecture(architecture)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)  # a trial with other weights may find another head
        body = build_bare(source, class_count, keywords).eval()
    probed = probe_layers(body, list(layers) or None, (3, size, size), None, hints)
    if probed.class_count != class_count:
        raise InputError(
            f"architecture {architecture!r}",
            f"{class_count} outputs, one for each class",
            str(probed.class_count),
            "Give the number by `arguments`, under the name that the network takes",
        )
    with (
        steady(body, "float32", gradients=False),
        capture({layer.name: layer.module for layer in probed.layers}, ()) as taken,
    ):
        body(random_images(body, (3, size, size)))
        specs = [_spec(layer, tuple(taken[layer.name].shape)) for layer in probed.layers]
    return {
        "keywords": dict(keywords),
        "layers": [spec.to_list() for spec in specs],
        "classifier": _classifier(body, probed.layers[-1]),
    }


def _spec(layer: Layer, shape: tuple[int, ...]) -> LayerSpec:
    layout = layer.layout
    return LayerSpec(layer.name, shape[layout.channel_dimension], _layout_text(layout), layer.altered)


def _layout_text(layout: Layout) -> str:
    """A layout as a model's card stores it."""
    if layout.grid is None:
        return "first" if layout.order is Order.CHANNELS_FIRST else "last"
    order = SEQUENCE_FIRST if layout.order is Order.TOKENS_FIRST else ""
    (start, _), *more = layout.segments
    where = str(start) if not more else ",".join(f"{start}:{stop}" for start, stop in layout.segments)
    return f"{order}{where}+{layout.grid[0]}x{layout.grid[1]}"


def _classifier(body: nn.Module, last: Layer) -> str:
    """Name of the linear module that the pooled head of the last layer is; empty where it has none."""
    if last.head is None or not last.linear:
        return ""
    named = [(name, module) for name, module in body.named_modules() if isinstance(module, nn.Linear)]
    same = [(name, module) for name, module in named if module.weight.shape == last.head.weight.shape]
    return next((name for name, module in same if torch.equal(module.weight.float().cpu(), last.head.weight.cpu())), "")
