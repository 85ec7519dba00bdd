"""Layers of a network: modules, layouts, heads; and the arguments that build the network again."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Any

import torch
from torch import Tensor, nn

from wheretolook.base.errors import InputError
from wheretolook.networks.architectures import parse_architecture
from wheretolook.networks.bare_networks import build_bare
from wheretolook.networks.layered import Network
from wheretolook.networks.layers.default_layers import check_hints, default_layers, no_default, no_places
from wheretolook.networks.layers.heads import Layer, PooledHead, ends_in, find_head, linear_head, noting_linear
from wheretolook.networks.layers.layout import CHANNELS_FIRST, Hints, Layout, Order, same_but_for_rounding, to_maps
from wheretolook.networks.layers.outputs import LogitsOf
from wheretolook.networks.layers.places import Reading
from wheretolook.networks.layers.steadiness import Captured, Shape, capture, random_images, run, steady
from wheretolook.networks.layers.trial import Trial, find_trial
from wheretolook.networks.module_network import SEQUENCE_FIRST, LayerSpec

_SHOWN = 12
_NO_HINTS = Hints()


@dataclass(frozen=True)
class ProbedLayers:
    """A network and its layers, tried.

    Attributes:
        network: returns logits (N, classes).
        layers: first to last.
        class_count: logits of an image.
        writes_images: its first step writes over its images.
    """

    network: nn.Module
    layers: list[Layer]
    class_count: int
    writes_images: bool


def probe_layers(
    network: nn.Module,
    names: Sequence[str] | None,
    shape: Shape,
    trained_heads: Sequence[str] | None,
    hints: Hints = _NO_HINTS,
) -> ProbedLayers:
    """Try a network on images of noise: its layers, first to last, the classes, and whether it writes over images.

    Args:
        network: one of the project's, or any module that gives logits (N, K) for images (N, C, H, W).
        names: layers to look at, in any order; None: every layer of a network of the project; of another module
            the last with places at each resolution.
        shape: (C, H, W) of the images.
        trained_heads: of a network of the project, layers whose heads were trained; None: those that are not zero.
        hints: what the user says of the layers of another module.

    Raises:
        InputError: a layer that does not exist (the message lists those that do), or that has no places; a network
            that gives no logits for such images, or others for the same image.
    """
    with steady(network, "float32", gradients=False):
        readings: dict[str, Reading] = {}
        if isinstance(network, Network):
            modules = _own_modules(network, names)
            layouts = dict.fromkeys(modules, CHANNELS_FIRST)
        else:
            trial = find_trial(network, shape, hints)
            trial.readout.warn(type(network).__name__)
            modules = _modules(network, names, trial, hints)
            readings = {name: reading for name in modules if (reading := trial.results[name].reading) is not None}
            layouts = {name: reading.layout for name, reading in readings.items()}
            if trial.readout.plain and not any(trial.results[name].altered for name in modules):
                return ProbedLayers(network, _layers_of(trial, modules), trial.class_count, trial.writes_images)
            network = network if trial.readout.plain else LogitsOf(network, trial.readout)
        images = random_images(network, shape).clone()  # never written over so far
        first = passed = _try(network, modules, images)
        writes = images._version > 0
        altered = passed.outputs.altered()
        if altered:
            passed = _try(network, modules, random_images(network, shape), altered)
            if not same_but_for_rounding(passed.logits, first.logits):
                raise InputError(
                    f"layer {', '.join(sorted(altered))}",
                    "an output of its own",
                    "what another layer reads too and a later one writes over (a dropout hands on its input)",
                    "name the layer before it",
                )
        maps = {name: to_maps(output, layouts[name]) for name, output in passed.outputs.items()}
        heads = _heads(network, maps, passed.ends, trained_heads)
    tokens = {name: layout for name, layout in layouts.items() if layout.has_tokens}
    if isinstance(network, Network):
        spans = {name: of for name, of in network.token_spans().items() if name in maps}
        sides = {name: (maps[name].shape[2], maps[name].shape[3]) for name in spans}
        tokens = {name: Layout(Order.TOKENS, sides[name], of) for name, of in spans.items()}
    layers = [
        Layer(
            name,
            modules[name],
            layouts[name],
            name in altered,
            (maps[name].shape[2], maps[name].shape[3]),
            heads.get(name),
            readings[name].locality if name in readings else None,
            tokens.get(name),
        )
        for name in passed.outputs
    ]
    return ProbedLayers(network, layers, passed.logits.shape[1], writes)


def _layers_of(trial: Trial, modules: Mapping[str, nn.Module]) -> list[Layer]:
    """Layers of a foreign network as its trial shows them, in running order, without a further pass."""
    layers = []
    for name, seen in trial.results.items():
        if name in modules and seen.reading is not None:
            layout, locality = seen.reading.layout, seen.reading.locality
            tokens = layout if layout.has_tokens else None
            layers.append(Layer(name, modules[name], layout, False, seen.reading.grid, seen.head, locality, tokens))
    return layers


@dataclass(frozen=True)
class _Pass:
    """A forward pass of noise: the layers' outputs in the order in which they came, and the logits.

    Attributes:
        ends: linear layers whose output the logits are, each with its input (N, C).
    """

    outputs: Captured
    logits: Tensor
    ends: list[tuple[nn.Linear, Tensor]]


def _try(network: nn.Module, modules: dict[str, nn.Module], images: Tensor, copied: Collection[str] = ()) -> _Pass:
    with capture(modules, copied) as outputs, noting_linear(network) as linears:
        logits = run(network, images)
    if not isinstance(logits, Tensor) or logits.ndim != 2:
        found = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        raise InputError(type(network).__name__, "logits (N, classes)", f"{found} for one image")
    missing = [name for name in modules if name not in outputs]
    if missing:
        raise InputError(
            f"layer {missing[0]}", expected="to run in a forward pass, but it does not", hint="name another"
        )
    return _Pass(outputs, logits, ends_in(linears, logits))


def _heads(
    network: nn.Module,
    maps: dict[str, Tensor],
    ends: list[tuple[nn.Linear, Tensor]],
    trained: Sequence[str] | None,
) -> dict[str, PooledHead]:
    """The trained pooled linear heads, each tried: of a network of the project as it names them, else searched for."""
    if not isinstance(network, Network):
        found = {name: find_head(ends, feature_maps) for name, feature_maps in maps.items()}
        return {name: head for name, head in found.items() if head is not None}
    heads: dict[str, PooledHead] = {}
    for name, linear in network.heads.items():
        if name == network.layer_names[-1] and name in maps:
            final = find_head(ends, maps[name])
            heads |= {} if final is None else {name: replace(final, certain=True)}
        elif name in maps and _is_trained(name, linear, trained):
            heads[name] = linear_head(linear, rectified=False, final=False)
    return heads


def _is_trained(name: str, linear: nn.Linear, trained: Sequence[str] | None) -> bool:
    return bool(linear.weight.any()) if trained is None else name in trained


def _own_modules(network: Network, names: Sequence[str] | None) -> dict[str, nn.Module]:
    there = network.layer_modules()
    names = list(there) if names is None else names
    for name in names:
        if name not in there:
            raise _unknown(name, list(there))
    return {name: there[name] for name in dict.fromkeys(names)}


def _modules(network: nn.Module, names: Sequence[str] | None, trial: Trial, hints: Hints) -> dict[str, nn.Module]:
    """The modules of layers of a foreign network, in the trial's own names."""
    there = {name: module for name, module in network.named_modules(remove_duplicate=False) if name}
    default = default_layers(trial.results, there)
    if names is None:
        if not default:
            raise no_default(type(network).__name__, trial)
        return {name: there[name] for name in default}
    for name in names:
        if not isinstance(name, str):
            raise InputError("layers", expected="names, as network.named_modules() gives them", found=f"{name!r:.60}")
        if name not in there:
            near = [other for other in get_close_matches(name, there, n=_SHOWN) if other not in default]
            more = [f"... ({len(there)} modules)"] if len(there) > len(default + near) else []
            raise _unknown(name, default + near + more)
        seen = trial.results.get(name)
        if seen is None:
            raise InputError(f"layer {name}", expected="to run in a forward pass, but it does not", hint="name another")
        check_hints(name, trial, hints)
        if not seen.usable:
            raise no_places(name, trial, default)
    return {name: there[name] for name in dict.fromkeys(names)}


def _unknown(name: str, listed: list[str]) -> InputError:
    return InputError(f'layer "{name}"', expected=f"one of {', '.join(listed)}")


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
