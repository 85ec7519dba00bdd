"""Which layers a network has to look at, and what each of them gives: tried once, on a random input."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import partial

import torch
from torch import Tensor, nn

from wheretolook.cams.capture import Captured, capture
from wheretolook.cams.heads import PooledHead, find_head, linear_head, noting_linear
from wheretolook.cams.layout import Layout, guess_layout, to_maps
from wheretolook.cams.rounding import same_but_for_rounding
from wheretolook.cams.steady import steady
from wheretolook.data.refusal import Refusal
from wheretolook.execution.machine import is_gpu_failure, is_out_of_memory
from wheretolook.models.hooks import hooked
from wheretolook.models.layered import Network

# (C, H, W) of an image.
Shape = tuple[int, int, int]
_SHOWN = 12


@dataclass(frozen=True)
class Layer:
    """One layer of one network, ready to be captured.

    Attributes:
        name: as users write it.
        module: its output is the layer's.
        layout: how that output lies in memory.
        altered: a later layer writes over the output, so that it must be given a copy.
        places: (h, w) of its feature maps, for images of the size that was tried.
        head: the trained pooled linear head on it, if there is one.
    """

    name: str
    module: nn.Module
    layout: Layout
    altered: bool
    places: tuple[int, int]
    head: PooledHead | None

    @property
    def linear(self) -> bool:
        """Whether the network's logits are linear in the layer, so that their gradients are known beforehand."""
        return self.head is not None and self.head.final and not self.head.rectified


def probe_layers(
    network: nn.Module, names: Sequence[str] | None, shape: Shape, trained_heads: Sequence[str] | None
) -> tuple[list[Layer], int, bool]:
    """Try a network on an image of noise: its layers, first to last, the classes, and whether it writes over images.

    Args:
        network: one of the project's, or any module that gives logits (N, K) for images (N, C, H, W).
        names: layers to look at, in any order; None: every layer of a network of the project; of another module
            the last with places at each resolution.
        shape: (C, H, W) of the images.
        trained_heads: of a network of the project, layers whose heads were trained; None: those that are not zero.

    Raises:
        Refusal: a layer that does not exist (the message lists those that do), or that has no places; a network that
            gives no logits for such images.
    """
    with steady(network, "float32", gradients=False):
        modules = _modules(network, names, shape)
        images = random_images(network, shape).clone()  # never written over so far
        trial = _try(network, modules, images)
        if not modules:
            raise Refusal(f"{type(network).__name__}: expected a layer with places (N, C, h, w), found none in it")
        writes = images._version > 0
        altered = trial.outputs.altered()
        if altered:
            first, trial = trial, _try(network, modules, random_images(network, shape), altered)
            if not same_but_for_rounding(trial.logits, first.logits):
                raise Refusal(
                    f"layer {', '.join(sorted(altered))}: expected an output of its own, found what another layer "
                    "reads too and a later one writes over (a dropout hands on its input); name the layer before it"
                )
        layouts = {name: _layout(network, output, shape[1:], name) for name, output in trial.outputs.items()}
        maps = {name: to_maps(output, layouts[name]) for name, output in trial.outputs.items()}
        heads = _heads(network, maps, trial.ends, trained_heads)
    layers = [
        Layer(n, modules[n], layouts[n], n in altered, tuple(maps[n].shape[2:]), heads.get(n)) for n in trial.outputs
    ]
    return layers, trial.logits.shape[1], writes


def random_images(network: nn.Module, shape: Shape, count: int = 1) -> Tensor:
    """Images of noise (count, C, H, W), always the same, on the network's device and in its type."""
    weight = next(network.parameters(), torch.empty(0))
    noise = torch.randn(count, *shape, generator=torch.Generator().manual_seed(0))
    return noise.to(weight)


@dataclass(frozen=True)
class _Trial:
    """A forward pass of noise: the layers' outputs in the order in which they came, and the logits.

    Attributes:
        ends: linear layers whose output the logits are, each with its input (N, C).
    """

    outputs: Captured
    logits: Tensor
    ends: list[tuple[nn.Linear, Tensor]]


def _try(network: nn.Module, modules: dict[str, nn.Module], images: Tensor, copied: Collection[str] = ()) -> _Trial:
    with capture(modules, copied) as outputs, noting_linear(network) as linears:
        logits = _run(network, images)
    if not isinstance(logits, Tensor) or logits.ndim != 2:
        found = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        remedy = "wrap it in a module whose forward gives them; of a single logit z, (N, 2) of -z and z"
        raise Refusal(f"{type(network).__name__}: expected logits (N, classes), found {found}; {remedy}")
    missing = [name for name in modules if name not in outputs]
    if missing:
        raise Refusal(f"layer {missing[0]}: expected to run in a forward pass, but it does not; name another")
    same = partial(torch.allclose, logits, rtol=0, atol=0, equal_nan=True)  # NaN is told later, and with its image
    ends = [(m, given) for m, given, found in linears if found.shape == logits.shape and same(found)]
    return _Trial(outputs, logits, ends)


def _run(network: nn.Module, images: Tensor) -> object:
    try:
        return network(images)
    except (RuntimeError, AssertionError) as error:  # the latter: a vision transformer that is given another size
        if is_out_of_memory(error) or is_gpu_failure(error):
            raise
        said = next(iter(str(error).splitlines()), type(error).__name__)[:200]
        shape = ", ".join(map(str, images.shape[1:]))
        raise Refusal(
            f"{type(network).__name__}: expected to run on images (N, {shape}), found an error: {said}; give images of "
            "the channels and the size that it was made for"
        ) from error


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
    heads = {}
    for name, linear in network.heads.items():
        if name == network.layer_names[-1] and name in maps:
            final = find_head(ends, maps[name])
            heads |= {} if final is None else {name: replace(final, certain=True)}
        elif name in maps and _is_trained(name, linear, trained):
            heads[name] = linear_head(linear, rectified=False, final=False)
    return heads


def _layout(network: nn.Module, output: object, size: tuple[int, int], name: str) -> Layout:
    return Layout.CHANNELS_FIRST if isinstance(network, Network) else guess_layout(output, size, name)


def _is_trained(name: str, linear: nn.Linear, trained: Sequence[str] | None) -> bool:
    return bool(linear.weight.any()) if trained is None else name in trained


def _modules(network: nn.Module, names: Sequence[str] | None, shape: Shape) -> dict[str, nn.Module]:
    if isinstance(network, Network):
        there = network.layer_modules()
        names = list(there) if names is None else names
        listed = list(there)
    else:
        there = {name: module for name, module in network.named_modules(remove_duplicate=False) if name}
        names = last_of_each_resolution(network, shape) if names is None else names
        listed = []
    for name in names:
        if not isinstance(name, str):
            raise Refusal(f"layers: expected names, as network.named_modules() gives them; found {name!r:.60}")
        if name not in there:
            listed = listed or _listed(network, name, there, shape)
            raise Refusal(f'layer "{name}": expected one of {", ".join(listed)}')
        if isinstance(there[name], nn.Flatten):
            raise Refusal(f"layer {name}: expected places in rows and columns, found one row; name the layer before it")
    return {name: there[name] for name in dict.fromkeys(names)}


def _listed(network: nn.Module, name: str, there: dict[str, nn.Module], shape: Shape) -> list[str]:
    stages = last_of_each_resolution(network, shape)
    near = [other for other in get_close_matches(name, there, n=_SHOWN) if other not in stages]
    return stages + near + ([f"... ({len(there)} modules)"] if len(there) > len(stages + near) else [])


def last_of_each_resolution(network: nn.Module, shape: Shape) -> list[str]:
    """Of any module: at each resolution the last of its outermost parts that end with it, first to last.

    Where the places of such a part lead nowhere, as those behind a vision transformer's last attention, it is the last
    part that they do lead on from.
    """
    found: dict[int, str] = {}
    tokens: dict[str, int] = {}
    images = random_images(network, shape, count=2)

    def note(name: str, module: nn.Module, inputs: object, output: object) -> None:
        places = _places(output, images, name)
        if places > 1 and not _is_flattened(inputs, output):
            if output.ndim == 3:
                tokens[name] = places
            if name.count(".") <= found.get(places, name).count("."):
                found.pop(places, None)
                found[places] = name

    named = {name: module for name, module in network.named_modules() if name}
    parts = {name: module for name, module in named.items() if not isinstance(module, torch.jit.ScriptModule)}
    with hooked((module, partial(note, name)) for name, module in parts.items()):
        _run(network, images.clone())
    if not tokens.keys() & set(found.values()):
        return list(found.values())
    leading = _leading({name: parts[name] for name in tokens}, network, images)
    return [_last_leading(name, tokens, leading) for name in found.values()]


def _leading(parts: dict[str, nn.Module], network: nn.Module, images: Tensor) -> list[str]:
    """Of parts that give tokens, those on whose places the logits depend, in the order in which they run."""
    with torch.enable_grad(), capture(parts, parts) as outputs:
        logits = _run(network, images)
        if not isinstance(logits, Tensor) or not logits.requires_grad:
            return []
        gradients = torch.autograd.grad(logits.sum(), list(outputs.values()), allow_unused=True)
    there = zip(outputs, gradients, strict=True)
    return [name for name, gradient in there if gradient is not None and bool(to_maps(gradient, Layout.TOKENS).any())]


def _last_leading(name: str, tokens: dict[str, int], leading: list[str]) -> str:
    """The part itself, where it leads on or gives no tokens; else the last of as many places that does, if one does."""
    alike = [other for other in leading if tokens[other] == tokens.get(name)]
    return name if name not in tokens or name in leading or not alike else alike[-1]


def _is_flattened(inputs: object, output: Tensor) -> bool:
    """Whether an output (N, C, h * w) is feature maps (N, C, h, w) in one row, which look like tokens and are none."""
    given = inputs[0] if isinstance(inputs, tuple) and inputs else None
    return isinstance(given, Tensor) and given.ndim == 4 and output.shape == given.flatten(2).shape


def _places(output: object, images: Tensor, name: str) -> int:
    """How many places an output has, one image each; 0 for what are no maps of the images."""
    if not isinstance(output, Tensor) or output.ndim not in (3, 4) or len(output) != len(images):
        return 0
    size = tuple(images.shape[2:])
    try:
        h, w = to_maps(output, guess_layout(output, size, name)).shape[2:]
    except Refusal:
        return 0
    stretched = h * size[1] / (w * size[0])  # 1 for maps; windows of an attention layer lie in no such order
    return h * w if 0.5 < stretched < 2 else 0
