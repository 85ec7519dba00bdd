"""Wrapper that adds layers, by module names, and pooled linear heads to any network."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from wheretolook.base.errors import InputError
from wheretolook.networks.layered import Network, hooked, side_heads

# Before the layout of tokens that come before images in the output, (tokens, N, C).
SEQUENCE_FIRST = "sequence "


@dataclass(frozen=True)
class LayerSpec:
    """One layer of a wrapped network, as stored in the model's card.

    Attributes:
        module: its name in the network, with dots.
        channels: C of its feature maps.
        layout: of its output: "first" for (N, C, h, w), "last" for (N, h, w, C), "PREFIX+hxw" for tokens
            (N, PREFIX + h w, C), "START:STOP,START:STOP+hxw" where other tokens lie between or behind the grid's.
            A leading "sequence " says that the tokens' dimension comes first: (tokens, N, C).
        copied: whether a later module modifies its output in place, so that it must be cloned.
    """

    module: str
    channels: int
    layout: str
    copied: bool

    @property
    def layer(self) -> str:
        """Its name as a layer: without dots, for file names."""
        return self.module.replace(".", "_")

    def to_list(self) -> list[Any]:
        """The values for the card, in the order of the attributes."""
        return [self.module, self.channels, self.layout, self.copied]


class ModuleNetwork(Network):
    """A wrapper around any classifier, which runs unchanged and computes the logits.

    Args:
        body: the wrapped network; its weights keep their names, prefixed by `body.`.
        layers: first to last.
        classifier: name of the linear module on the pooled feature maps of the last layer; empty if there is none.
        class_count: K.

    Raises:
        InputError: the network has no such module.
    """

    def __init__(self, body: nn.Module, layers: Sequence[LayerSpec], classifier: str, class_count: int):
        super().__init__()
        modules = dict(body.named_modules())
        for name in [spec.module for spec in layers] + [classifier] * bool(classifier):
            if name not in modules:
                raise InputError(
                    f"layer {name!r}", "a module of the network", "no such module", "See network.named_modules()"
                )
        self.body, self.specs, self.classifier_name = body, tuple(layers), classifier
        self.layer_names = tuple(spec.layer for spec in layers)
        self.views = nn.ModuleDict({spec.layer: _view(spec) for spec in layers})
        self.side_heads = side_heads({spec.layer: spec.channels for spec in layers}, class_count)

    def layer_modules(self) -> dict[str, nn.Module]:
        """For each layer, the module that outputs its feature maps; later modules compute from this output."""
        return dict(self.views.items())

    def token_spans(self) -> dict[str, tuple[tuple[int, int], ...]]:
        """The tokens of each layer that a transformer's tokens make up."""
        return {spec.layer: _tokens(spec.layout).spans for spec in self.specs if "+" in spec.layout}

    def layer_parts(self) -> dict[str, list[nn.Module]]:
        """For each layer, the modules with weights between the previous layer and this one, in the network's order."""
        parts: dict[str, list[nn.Module]] = {layer: [] for layer in self.layer_names}
        modules = list(self.body.named_modules())
        ends = [_end([name for name, _ in modules], spec.module) for spec in self.specs]
        for place, (_, module) in enumerate(modules):
            layer = next((spec.layer for spec, end in zip(self.specs, ends, strict=True) if place <= end), None)
            if layer is not None and any(True for _ in module.parameters(recurse=False)):
                parts[layer].append(module)
        return parts

    def final_head(self) -> nn.Linear | None:
        """The classifier, if it is linear on the last layer's pooled feature maps."""
        if not self.classifier_name:
            return None
        final: Any = self.body.get_submodule(self.classifier_name)
        return final

    def copy_layer_heads(self) -> tuple[str, ...]:
        """Copy the wrapped network's own heads of inner layers into `side_heads`.

        A network that classifies each of its layers has a method `layer_heads`, which returns for module names the
        weight (K, C) and bias (K,) of a linear head on the module's pooled feature maps.

        Returns:
            The layers whose heads were copied.
        """
        own: dict[str, tuple[Tensor, Tensor]] = getattr(self.body, "layer_heads", dict)()
        layers = {spec.module: spec.layer for spec in self.specs[:-1]}
        for module, (weight, bias) in own.items():
            if module in layers:
                head = self.side_heads[layers[module]]
                head.load_state_dict({"weight": weight.detach(), "bias": bias.detach()})
        return tuple(layers[module] for module in layers if module in own)

    def trace(self, images: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """Feature maps of every layer, and the logits."""
        maps: dict[str, Tensor] = {}
        with hooked((self.body.get_submodule(spec.module), partial(self._take, maps, spec)) for spec in self.specs):
            logits = _logits(self.body(images))
        return {layer: maps[layer] for layer in self.layer_names}, logits

    def _take(
        self, maps: dict[str, Tensor], spec: LayerSpec, module: nn.Module, inputs: object, output: Tensor
    ) -> Tensor | None:
        # A module such as a dropout may run several times, before that on windows; the last run on all places counts.
        if not _fits(spec, output):
            return None
        maps[spec.layer] = self.views[spec.layer](output)
        flow = _rejoined(spec, maps[spec.layer], output)
        return flow.clone() if spec.copied else flow


def _logits(output: Any) -> Tensor:
    """The logits in what a network returns: as `logits`, or before auxiliary logits."""
    if isinstance(output, Mapping) and "logits" in output:
        output = output["logits"]
    output = getattr(output, "logits", output)
    while isinstance(output, tuple | list):
        output = output[0]
    return output


def _end(names: Sequence[str], module: str) -> int:
    """Index in `names` of the last submodule of a module."""
    return max(place for place, name in enumerate(names) if name == module or name.startswith(f"{module}."))


class _LastToFirst(nn.Module):
    def forward(self, flow: Tensor) -> Tensor:
        return flow.permute(0, 3, 1, 2)


class _Grid(nn.Module):
    def __init__(self, tokens: "_Tokens"):
        super().__init__()
        self.tokens = tokens

    def forward(self, flow: Tensor) -> Tensor:
        flow = flow.transpose(0, 1) if self.tokens.sequence_first else flow
        parts = [flow[:, start:stop] for start, stop in self.tokens.spans]
        places = parts[0] if len(parts) == 1 else torch.cat(parts, 1)  # (N, h w, C)
        return places.transpose(1, 2).unflatten(2, self.tokens.grid)


@dataclass(frozen=True)
class _Tokens:
    """Which tokens are the cells of the grid, row by row."""

    spans: tuple[tuple[int, int], ...]
    grid: tuple[int, int]
    sequence_first: bool


def _view(spec: LayerSpec) -> nn.Module:
    if spec.layout == "first":
        return nn.Identity()
    return _LastToFirst() if spec.layout == "last" else _Grid(_tokens(spec.layout))


def _tokens(layout: str) -> _Tokens:
    """Parse "1+14x14" or "0:98,99:197+14x14"."""
    order = layout.removeprefix(SEQUENCE_FIRST)
    where, _, size = order.partition("+")
    rows, columns = (int(side) for side in size.split("x"))
    if ":" in where:
        ends = [span.split(":") for span in where.split(",")]
        spans = tuple((int(start), int(stop)) for start, stop in ends)
    else:
        spans = ((int(where), int(where) + rows * columns),)
    return _Tokens(spans, (rows, columns), order != layout)


def _fits(spec: LayerSpec, output: Tensor) -> bool:
    """Whether an output has the layer's channels and tokens."""
    if spec.layout == "first":
        return output.ndim == 4 and output.shape[1] == spec.channels
    if spec.layout == "last":
        return output.ndim == 4 and output.shape[3] == spec.channels
    tokens = _tokens(spec.layout)
    if output.ndim != 3 or output.shape[2] != spec.channels:
        return False
    return output.shape[0 if tokens.sequence_first else 1] >= tokens.spans[-1][1]


def _rejoined(spec: LayerSpec, maps: Tensor, output: Tensor) -> Tensor:
    """The layer's output, computed from its feature maps, so that gradients and hooks of the maps take effect."""
    if spec.layout == "first":
        return maps
    if spec.layout == "last":
        return maps.permute(0, 2, 3, 1)
    tokens, own = _tokens(spec.layout), output
    output = output.transpose(0, 1) if tokens.sequence_first else output
    places, taken, behind = maps.flatten(2).transpose(1, 2), 0, 0
    parts = []
    for start, stop in tokens.spans:
        parts += [output[:, behind:start], places[:, taken : taken + stop - start]]
        taken, behind = taken + stop - start, stop
    flow = torch.cat([*parts, output[:, behind:]], 1)
    return _in_memory_as(flow.transpose(0, 1) if tokens.sequence_first else flow, own)


def _in_memory_as(flow: Tensor, own: Tensor) -> Tensor:
    """The same values with the dimensions in memory as those of `own`: a mean over tokens is rounded in that order."""
    strides = own.stride()
    order = sorted(range(own.ndim), key=lambda dimension: -strides[dimension])
    back = sorted(range(own.ndim), key=order.__getitem__)
    return flow.permute(order).contiguous().permute(back)
