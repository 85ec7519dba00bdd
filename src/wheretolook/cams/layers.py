"""Which layers a network has to look at, and what each of them gives: tried once, on a random input."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

import torch
from torch import Tensor, nn

from wheretolook.cams.capture import Captured, capture
from wheretolook.cams.heads import PooledHead, find_head, linear_head, linear_inputs
from wheretolook.cams.layout import Layout, guess_layout, to_maps
from wheretolook.cams.steady import steady
from wheretolook.data.refusal import Refusal
from wheretolook.models.layered import Network

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
    network: nn.Module, names: Sequence[str] | None, size: tuple[int, int], trained_heads: Sequence[str] | None
) -> tuple[list[Layer], int]:
    """Look at the layers of a network with two random images: the layers, first to last, and the number of classes.

    Args:
        network: one of the project's, or any module that gives logits (N, K) for images (N, 3, H, W).
        names: layers to look at, in any order; None: every layer of a network of the project; of another module
            the last with places at each resolution.
        size: (H, W) of the images.
        trained_heads: of a network of the project, layers whose heads were trained; None: those that are not zero.

    Raises:
        Refusal: a layer that does not exist (the message lists those that do), or that has no places.
    """
    with steady(network, "float32", gradients=False):
        images = random_images(network, size)
        modules = _modules(network, names, images)
        logits, captured = _run(network, modules, images)
        first_to_last = list(captured)
        layouts = {name: _layout(network, captured[name], size, name) for name in first_to_last}
        altered = captured.altered()
        if altered:
            logits, captured = _run(network, modules, images, altered)
        maps = {name: to_maps(captured[name], layouts[name]) for name in first_to_last}
        heads = _heads(network, maps, images, logits, trained_heads)
    layers = [
        Layer(n, modules[n], layouts[n], n in altered, tuple(maps[n].shape[2:]), heads.get(n)) for n in first_to_last
    ]
    return layers, logits.shape[1]


def random_images(network: nn.Module, size: tuple[int, int]) -> Tensor:
    """Two images of noise (2, 3, H, W), always the same, on the network's device and in its type."""
    weight = next(network.parameters(), torch.empty(0))
    noise = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(0))
    return noise.to(weight)


def _run(
    network: nn.Module, modules: dict[str, nn.Module], images: Tensor, copied: Collection[str] = ()
) -> tuple[Tensor, Captured]:
    with capture(modules, copied) as captured:
        logits = network(images)
    if not isinstance(logits, Tensor) or logits.ndim != 2:
        found = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        raise Refusal(f"{type(network).__name__}: expected logits (N, classes), found {found}")
    missing = [name for name in modules if name not in captured]
    if missing:
        raise Refusal(f"layer {missing[0]}: expected to run in a forward pass, but it does not; name another")
    return logits, captured


def _heads(
    network: nn.Module, maps: dict[str, Tensor], images: Tensor, logits: Tensor, trained: Sequence[str] | None
) -> dict[str, PooledHead]:
    """The trained pooled linear heads, each tried: of a network of the project as it names them, else searched for."""
    if not isinstance(network, Network):
        linears = linear_inputs(network, images, logits)
        found = {name: find_head(linears, feature_maps) for name, feature_maps in maps.items()}
        return {name: head for name, head in found.items() if head is not None}
    heads = {}
    for name, linear in network.heads.items():
        if name == network.layer_names[-1] and name in maps:
            final = find_head(linear_inputs(network, images, logits), maps[name])
            heads |= {} if final is None else {name: final}
        elif name in maps and _is_trained(name, linear, trained):
            heads[name] = linear_head(linear, rectified=False, final=False)
    return heads


def _layout(network: nn.Module, output: object, size: tuple[int, int], name: str) -> Layout:
    return Layout.CHANNELS_FIRST if isinstance(network, Network) else guess_layout(output, size, name)


def _is_trained(name: str, linear: nn.Linear, trained: Sequence[str] | None) -> bool:
    return bool(linear.weight.any()) if trained is None else name in trained


def _modules(network: nn.Module, names: Sequence[str] | None, images: Tensor) -> dict[str, nn.Module]:
    if isinstance(network, Network):
        there = network.layer_modules()
        names = list(there) if names is None else names
        listed = list(there)
    else:
        there = {name: module for name, module in network.named_modules() if name}
        names = last_of_each_resolution(network, images) if names is None else names
        listed = []
    for name in names:
        if name not in there:
            listed = listed or _listed(network, name, there, images)
            raise Refusal(f'layer "{name}": expected one of {", ".join(listed)}')
    return {name: there[name] for name in dict.fromkeys(names)}


def _listed(network: nn.Module, name: str, there: dict[str, nn.Module], images: Tensor) -> list[str]:
    stages = last_of_each_resolution(network, images)
    near = [other for other in get_close_matches(name, there, n=_SHOWN) if other not in stages]
    return stages + near + ([f"... ({len(there)} modules)"] if len(there) > len(stages + near) else [])


def last_of_each_resolution(network: nn.Module, images: Tensor) -> list[str]:
    """Of any module: at each resolution the last of its outermost parts that end with it, first to last."""
    found: dict[int, str] = {}
    handles = []

    def note(name: str) -> Callable[[nn.Module, object, object], None]:
        def hook(module: nn.Module, inputs: object, output: object) -> None:
            places = _places(output, images, name)
            if places > 1 and name.count(".") <= found.get(places, name).count("."):
                found.pop(places, None)
                found[places] = name

        return hook

    try:
        for name, module in network.named_modules():
            if name:
                handles.append(module.register_forward_hook(note(name)))
        network(images)
    finally:
        for handle in handles:
            handle.remove()
    return list(found.values())


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
