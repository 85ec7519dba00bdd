"""A network, tried once, and what maps are to be taken of it."""

from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace

import torch
from torch import nn

from wheretolook.base.errors import InputError
from wheretolook.cams.fold import fast_copy, largest_output
from wheretolook.cams.method_registry import find_method
from wheretolook.cams.methods.method import Method, Needs
from wheretolook.layers.capture import PRECISIONS, shielded, steady
from wheretolook.layers.layer import Layer, probe_layers
from wheretolook.layers.layout import make_hints
from wheretolook.layers.outputs import usable_network
from wheretolook.layers.steadiness import Shape, random_images

# Larger tensors get their memory from the system anew each time (glibc's limit), which costs a CPU up to a third of its
# time; smaller parts only read the weights more often.
ALLOCATED_FAST = 32 * 1024**2


@dataclass(frozen=True)
class Engine:
    """A network, and which maps to take of it.

    Attributes:
        network: run in evaluation mode, left as found.
        layers: first to last.
        pairs: each (method, layer) to give.
        precision: "float32" or "bfloat16", of the forward and backward passes; maps are float32 in both.
        class_count: logits of an image.
        device: where the network is.
        dtype: of its weights, and so of the images; where not all are rounded, of those that are not.
        own: the network is a copy of our own, in evaluation mode and frozen once and for all.
        memory_format: that images are brought to.
        at_once: images a forward pass at most; None: as many as there are.
        with_mean: explain the mean of all logits too, with the methods that are linear in the class.
        writes_images: the network's first step writes over its images, so that it must be given copies.
    """

    network: nn.Module
    layers: tuple[Layer, ...]
    pairs: tuple[tuple[Method, Layer], ...]
    precision: str
    class_count: int
    device: torch.device
    dtype: torch.dtype
    own: bool = False
    memory_format: torch.memory_format = torch.preserve_format
    at_once: int | None = None
    with_mean: bool = False
    writes_images: bool = False

    def steadied(self) -> AbstractContextManager[None]:
        """Where the network may run."""
        if self.own:
            # A copy that is rounded as a whole needs no automatic mixed precision.
            precision = "float32" if self.dtype is torch.bfloat16 else self.precision
            return shielded(self.device.type, precision, self.backward)
        return steady(self.network, self.precision, self.backward)

    @property
    def backward(self) -> bool:
        """Whether backward passes are needed: no, where each gradient is known from a linear head."""
        return any(method.needs is Needs.GRADIENTS and not layer.linear for method, layer in self.pairs)

    def without_heads(self, names: Collection[str]) -> "Engine":
        """The same, with a backward pass where these layers' heads, which held for the trial, do not hold.

        Raises:
            InputError: their class activation maps are asked for.
        """
        exact = [layer.name for method, layer in self.pairs if method.needs is Needs.CLASS_WEIGHTS]
        asked = [name for name in exact if name in names]
        if asked:
            raise InputError(
                f"cam.{asked[0]}",
                expected="logits that are the mean of the map and a bias, as of the noise that was tried",
                found="others: something between the layer and the logits bends those of these images",
                hint="ask for gradcam instead",
            )
        layers = {y.name: replace(y, head=None) if y.name in names else y for y in self.layers}
        pairs = tuple((method, layers[layer.name]) for method, layer in self.pairs)
        return replace(self, layers=tuple(layers.values()), pairs=pairs)


def build_engine(
    network: nn.Module,
    methods: Sequence[str] | None,
    layers: Sequence[str] | None,
    size: tuple[int, int],
    precision: str = "float32",
    trained_heads: Sequence[str] | None = None,
    fast: bool = False,
    channels: int = 3,
    grid: tuple[int, int] | None = None,
    prefix_tokens: int | None = None,
    layout: str | None = None,
) -> Engine:
    """Try the network once on random images, and settle what is to be taken of it.

    Args:
        network: one of the project's, or any module that gives logits (N, K) for images (N, C, H, W).
        methods: names as in the registry. `cam` is taken of those layers that have a trained pooled linear head;
            None: `cam` of those, `gradcam` of the others.
        layers: names; None: all.
        size: (H, W) of the images.
        precision: "float32" or "bfloat16".
        trained_heads: of a network of the project; None: heads that are not all zero.
        fast: run a folded copy of the network. Worth its cost from some dozen images on; maps agree to 1e-5.
        channels: C of the images.
        grid: (h, w) of the tokens of a network that is not the project's; None: found by the trial.
        prefix_tokens: tokens before the places, of such a network; None: found.
        layout: of its layers, one of `layout.Order`; None: found.

    Raises:
        InputError: an unknown method, layer or precision; `cam` of layers of which none has a pooled linear head.
    """
    if precision not in PRECISIONS:
        raise InputError(f'precision "{precision}"', expected=f"one of {', '.join(PRECISIONS)}")
    for what, asked in (("methods", methods), ("layers", layers)):
        if asked is not None and (len(asked) == 0 or isinstance(asked, str)):
            raise InputError(what, expected="a list of names", found=f"{asked!r}")
    chosen = [find_method(name) for name in dict.fromkeys(methods or ())]
    shape, hints = (channels, *size), make_hints(grid, prefix_tokens, layout)
    probed = probe_layers(usable_network(network), layers, shape, trained_heads, hints)
    network = probed.network
    pairs = _best(probed.layers) if methods is None else _pairs(chosen, probed.layers)
    kind = random_images(network, shape)
    if precision == "bfloat16" and kind.dtype is torch.float64:
        raise InputError(
            "precision bfloat16", expected="weights in float32", found="float64", hint="call network.float() first"
        )
    engine = Engine(
        network,
        tuple(probed.layers),
        tuple(pairs),
        precision,
        probed.class_count,
        kind.device,
        kind.dtype,
        writes_images=probed.writes_images,
    )
    return _folded(engine, shape) if fast else engine


def _pairs(methods: list[Method], layers: list[Layer]) -> list[tuple[Method, Layer]]:
    """Each method at each layer, where it can be had."""
    pairs = [(m, y) for m in methods for y in layers if m.needs is not Needs.CLASS_WEIGHTS or y.head is not None]
    for method in methods:
        if not any(m is method for m, _ in pairs):
            raise InputError(
                method.name,
                expected="a layer with a trained linear head on its pooled feature maps",
                found=f"none in {', '.join(layer.name for layer in layers)}",
                hint="name another layer, or a method like gradcam",
            )
    return pairs


def _best(layers: list[Layer]) -> list[tuple[Method, Layer]]:
    """The exact method where there is one."""
    return [(find_method("gradcam" if layer.head is None else "cam"), layer) for layer in layers]


def _folded(engine: Engine, shape: Shape) -> Engine:
    """The same engine on a copy of its network that is faster to run."""
    names = {module: name for name, module in engine.network.named_modules()}
    paths = {layer.name: names[layer.module] for layer in engine.layers}
    with steady(engine.network, "float32", gradients=False):
        images = random_images(engine.network, shape)
        fast = fast_copy(engine.network, images, set(paths.values()), engine.precision, engine.backward)
    network = fast.network.eval().requires_grad_(False)
    layers = {y.name: replace(y, module=network.get_submodule(paths[y.name])) for y in engine.layers}
    pairs = tuple((method, layers[y.name]) for method, y in engine.pairs)
    engine = replace(
        engine,
        network=network,
        layers=tuple(layers.values()),
        pairs=pairs,
        own=True,
        memory_format=fast.memory_format,
        dtype=fast.dtype,
    )
    if engine.device.type != "cpu":
        return engine
    with engine.steadied():
        largest = largest_output(network, images.to(fast.dtype))
    return replace(engine, at_once=max(1, ALLOCATED_FAST // largest))
