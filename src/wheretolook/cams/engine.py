"""The map engine: a network that was probed once, and the maps to compute from it."""

from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from wheretolook.base.errors import InputError
from wheretolook.cams.fold import fast_copy, largest_output
from wheretolook.cams.methods import find_method
from wheretolook.cams.methods.attention import find_blocks
from wheretolook.cams.methods.method import Method, Needs
from wheretolook.networks.layers.heads import Layer
from wheretolook.networks.layers.layer import probe_layers
from wheretolook.networks.layers.layout import make_hints
from wheretolook.networks.layers.outputs import usable_network
from wheretolook.networks.layers.steadiness import PRECISIONS, Shape, random_images, shielded, steady

# glibc returns larger allocations to the system after each use, which costs a CPU up to a third of its time. Smaller
# batches only read the weights more often.
LARGEST_FAST_ALLOCATION = 32 * 1024**2


@dataclass(frozen=True)
class Engine:
    """A network, and the maps to compute from it.

    Attributes:
        network: runs in evaluation mode; its state is restored afterwards.
        layers: first to last.
        pairs: each (method, layer) to compute.
        precision: "float32" or "bfloat16" for the forward and backward passes; maps are float32 in both cases.
        class_count: logits per image.
        device: of the network.
        dtype: of the network's input. With mixed precision, the type of the weights that stay unrounded.
        is_copy: the network is the engine's own copy, already in evaluation mode and frozen.
        memory_format: of the network's input.
        max_batch: most images per forward pass; None: no limit.
        with_mean: also explain the mean of all logits, for methods that are linear in the class.
        writes_images: the network modifies its input in place, so each forward pass gets a copy.
        blocks: names of a transformer's blocks, first to last; empty unless a method reads their attention.
        targets: further values to explain, (n, T), computed from logits (n, K); class index K + t is the t-th of them.
    """

    network: nn.Module
    layers: tuple[Layer, ...]
    pairs: tuple[tuple[Method, Layer], ...]
    precision: str
    class_count: int
    device: torch.device
    dtype: torch.dtype
    is_copy: bool = False
    memory_format: torch.memory_format = torch.preserve_format
    max_batch: int | None = None
    with_mean: bool = False
    writes_images: bool = False
    blocks: tuple[str, ...] = ()
    targets: Callable[[Tensor], Tensor] | None = None

    def logits(self, images: Tensor) -> Tensor:
        """The network's logits (n, K), with the values of `targets` behind them, (n, K + T)."""
        logits: Tensor = self.network(images)
        return logits if self.targets is None else torch.cat([logits, self.targets(logits)], 1)

    def explaining(self, targets: Callable[[Tensor], Tensor], linear: bool) -> "Engine":
        """The same engine with further values to explain.

        Args:
            targets: from logits (n, K) to (n, T).
            linear: the targets are linear in the logits, so that linear heads give them too.

        Raises:
            InputError: the engine computes `cam` for a target that is not linear in the logits.
        """
        if not linear:
            cams = [layer.name for method, layer in self.pairs if method.needs is Needs.CLASS_WEIGHTS]
            if cams:
                raise InputError(
                    f"cam.{cams[0]}", "a target that is linear in the logits", "a function", "use gradcam instead"
                )
        heads = {
            layer.name: replace(
                layer.head,
                weight=torch.cat([layer.head.weight, targets(layer.head.weight.T).T]),
                bias=torch.cat([layer.head.bias, targets(layer.head.bias[None])[0]]),
            )
            if linear and layer.head is not None
            else None
            for layer in self.layers
        }
        layers = {layer.name: replace(layer, head=heads[layer.name]) for layer in self.layers}
        pairs = tuple((method, layers[layer.name]) for method, layer in self.pairs)
        return replace(self, layers=tuple(layers.values()), pairs=pairs, targets=targets)

    def eval_mode(self) -> AbstractContextManager[None]:
        """Context in which the network runs: evaluation mode, the engine's precision, no influence from outside."""
        if self.is_copy:
            # If all weights are bfloat16, automatic mixed precision is unnecessary.
            precision = "float32" if self.dtype is torch.bfloat16 else self.precision
            return shielded(self.device.type, precision, self.backward)
        return steady(self.network, self.precision, self.backward)

    @property
    def backward(self) -> bool:
        """Whether backward passes are needed; not where a linear head gives the gradients."""
        return self.reads_each_block or any(
            method.needs is Needs.GRADIENTS and not layer.linear for method, layer in self.pairs
        )

    @property
    def reads_each_block(self) -> bool:
        """Whether logits are read out of each block of a transformer."""
        return any(method.needs is Needs.ATTENTION_GRADIENTS for method, _ in self.pairs)

    def without_heads(self, names: Collection[str]) -> "Engine":
        """The same engine without the linear heads of these layers; gradients then take a backward pass.

        Raises:
            InputError: the engine computes `cam` at one of the layers, which needs the head.
        """
        exact = [layer.name for method, layer in self.pairs if method.needs is Needs.CLASS_WEIGHTS]
        affected = [name for name in exact if name in names]
        if affected:
            raise InputError(
                f"cam.{affected[0]}",
                expected="logits equal to the mean of the map plus a bias, as for the random images of the probe",
                found="logits that an operation between layer and logits changes (a clip or a mask, for instance)",
                hint="use gradcam instead",
            )
        layers = {layer.name: replace(layer, head=None) if layer.name in names else layer for layer in self.layers}
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
    """Probe the network once with random images, and choose the maps to compute.

    Args:
        network: a network of this project, or any module that returns logits (N, K) for images (N, C, H, W).
        methods: names as in `CAM_METHODS`. `cam` is computed at the layers with a trained linear head on their pooled
            feature maps. None: `cam` at those layers, `gradcam` at the others.
        layers: names; None: all layers of a network of this project; of another, the last at each resolution.
        size: (H, W) of the images.
        precision: "float32" or "bfloat16".
        trained_heads: layers of a network of this project whose heads are trained; None: heads that are not all zero.
        fast: run a copy with folded batch normalisation. Worthwhile from a few dozen images on; maps agree to 1e-5.
        channels: C of the images.
        grid: (h, w) of the tokens, for a network that is not of this project; None: inferred.
        prefix_tokens: number of tokens before the grid (class token, registers), likewise; None: inferred.
        layout: order of the layers' dimensions, one of `layout.Order`, likewise; None: inferred.

    Raises:
        InputError: an unknown method, layer or precision; `cam` at layers without a pooled linear head.
    """
    if precision not in PRECISIONS:
        raise InputError("precision", expected=f"one of {', '.join(PRECISIONS)}", found=f'"{precision}"')
    for argument, names in (("methods", methods), ("layers", layers)):
        if names is not None and (len(names) == 0 or isinstance(names, str)):
            raise InputError(argument, expected="a list of names", found=f"{names!r}")
    chosen = [find_method(name) for name in dict.fromkeys(methods or ())]
    shape, hints = (channels, *size), make_hints(grid, prefix_tokens, layout)
    probed = probe_layers(usable_network(network), layers, shape, trained_heads, hints)
    network = probed.network
    pairs = _default_pairs(probed.layers) if methods is None else _pairs(chosen, probed.layers)
    probe_images = random_images(network, shape)
    if precision == "bfloat16" and probe_images.dtype is torch.float64:
        raise InputError(
            "precision bfloat16", expected="weights in float32", found="float64", hint="call network.float() first"
        )
    engine = Engine(
        network,
        tuple(probed.layers),
        tuple(pairs),
        precision,
        probed.class_count,
        probe_images.device,
        probe_images.dtype,
        writes_images=probed.writes_images,
        blocks=_blocks(network, chosen, shape),
    )
    return _with_fast_copy(engine, shape) if fast else engine


def _pairs(methods: list[Method], layers: list[Layer]) -> list[tuple[Method, Layer]]:
    """Each method at each layer that supports it."""
    of_tokens = [layer for layer in layers if layer.tokens is not None][-1:]
    pairs = [
        (method, layer)
        for method in methods
        for layer in (of_tokens if method.for_transformers else layers)
        if method.needs is not Needs.CLASS_WEIGHTS or layer.head is not None
    ]
    for method in methods:
        if method.for_transformers and not of_tokens:
            raise InputError(
                method.name,
                expected="a transformer with a layer of tokens (N, T, C)",
                found=f"no such layer among {', '.join(repr(layer.name) for layer in layers)}",
                hint="use gradcam, or another method for feature maps",
            )
        if not any(of is method for of, _ in pairs):
            raise InputError(
                method.name,
                expected="a layer with a trained linear head on its pooled feature maps",
                found=f"none in {', '.join(layer.name for layer in layers)}",
                hint="choose another layer, or a method such as gradcam",
            )
    return pairs


def _blocks(network: nn.Module, methods: list[Method], shape: Shape) -> tuple[str, ...]:
    """The blocks whose attention the methods read."""
    if not any(method.for_transformers for method in methods):
        return ()
    with steady(network, "float32", gradients=False):
        return find_blocks(network, shape)


def _default_pairs(layers: list[Layer]) -> list[tuple[Method, Layer]]:
    """`cam` at layers with a linear head, `gradcam` at the others."""
    return [(find_method("gradcam" if layer.head is None else "cam"), layer) for layer in layers]


def _with_fast_copy(engine: Engine, shape: Shape) -> Engine:
    """The same engine on a faster copy of its network."""
    names = {module: name for name, module in engine.network.named_modules()}
    paths = {layer.name: names[layer.module] for layer in engine.layers}
    with steady(engine.network, "float32", gradients=False):
        images = random_images(engine.network, shape)
        fast = fast_copy(engine.network, images, set(paths.values()), engine.precision, engine.backward)
    network = fast.network.eval().requires_grad_(False)
    layers = {layer.name: replace(layer, module=network.get_submodule(paths[layer.name])) for layer in engine.layers}
    pairs = tuple((method, layers[layer.name]) for method, layer in engine.pairs)
    engine = replace(
        engine,
        network=network,
        layers=tuple(layers.values()),
        pairs=pairs,
        is_copy=True,
        memory_format=fast.memory_format,
        dtype=fast.dtype,
    )
    if engine.device.type != "cpu":
        return engine
    with engine.eval_mode():
        largest = largest_output(network, images.to(fast.dtype))
    return replace(engine, max_batch=max(1, LARGEST_FAST_ALLOCATION // largest))
