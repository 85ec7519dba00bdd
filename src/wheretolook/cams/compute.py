"""Compute all methods, layers and classes of a batch in one forward pass and at most one backward pass per class.

Only `scorecam` and `ablationcam` need more: one forward pass per channel of a layer.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor

from wheretolook.base.errors import InputError
from wheretolook.cams.engine import Engine
from wheretolook.cams.methods.attention import BlockAttention, capture_attention
from wheretolook.cams.methods.gradient_free import ablated_logits, masked_logits
from wheretolook.cams.methods.method import Method, Needs
from wheretolook.networks.layers.heads import Layer, PooledHead
from wheretolook.networks.layers.layout import TOLERANCE, check_finite, to_maps
from wheretolook.networks.layers.steadiness import Captured, capture

Pair = tuple[str, str]
Choice = Callable[[Tensor], Tensor]
# Relative tolerance between the network's logits and those that a linear head predicts.
TOLERANCES = {"float32": TOLERANCE, "bfloat16": 0.03}


@dataclass(frozen=True)
class Batch:
    """Maps and logits of a batch, on the network's device.

    Attributes:
        maps: (method, layer) to (n, K, h, w) float32; K is 1 for a class-independent method. With `Engine.with_mean`,
            a method that is linear in the class has one more map, the last: that of the mean of all logits.
        logits: (n, classes) float32.
        head_logits: layer to (n, classes) float32, for each layer with a trained head.
        class_index: (n, K) int64, the explained classes.
    """

    maps: dict[Pair, Tensor]
    logits: Tensor
    head_logits: dict[str, Tensor]
    class_index: Tensor

    def to(self, device: str) -> "Batch":
        """Copy to another device. Maps of many batches would fill a GPU's memory."""
        return Batch(
            {pair: maps.to(device) for pair, maps in self.maps.items()},
            self.logits.to(device),
            {layer: logits.to(device) for layer, logits in self.head_logits.items()},
            self.class_index.to(device),
        )


@dataclass(frozen=True)
class _Forward:
    """One forward pass: images, the layers' outputs as captured and as feature maps (n, C, h, w), and logits.

    Attributes:
        block_logits: (n, classes) read out of each block of a transformer; empty unless a method needs them.
    """

    images: Tensor
    outputs: dict[str, Tensor]
    feature_maps: dict[str, Tensor]
    logits: Tensor
    attention: BlockAttention
    block_logits: tuple[Tensor, ...]


def compute(engine: Engine, images: Tensor, choose: Choice) -> Batch:
    """Compute the maps of a batch.

    Args:
        engine: the network and the maps to compute.
        images: (n, 3, H, W), normalised; moved to the network's device and type.
        choose: returns the classes to explain, (n, K) int64, given the logits (n, classes).

    Raises:
        NotFinite: a map or the logits contain NaN or infinity.
        InputError: `cam` at a layer whose linear head does not reproduce the logits of these images.
    """
    with engine.eval_mode(), _capturing(engine) as outputs:
        images = images.to(engine.device, engine.dtype, memory_format=engine.memory_format)
        forward = _run(engine, images.clone() if images.is_inference() else images.detach(), outputs)
        class_index = choose(forward.logits.detach()[:, : engine.class_count])
        perturbed = _perturbed(engine, forward, class_index)
        # Maps are computed in float32; automatic mixed precision would round the products.
        with torch.autocast(engine.device.type, enabled=False):
            maps = _maps(engine, forward, class_index, perturbed)
            heads = {
                layer.name: layer.head.logits(forward.feature_maps[layer.name])
                for layer in engine.layers
                if layer.head is not None
            }
            unusable = _check_batch(engine, forward, maps, heads)
    if unusable:
        return compute(engine.without_heads(unusable), images, choose)
    final = next((heads[layer.name] for layer in engine.layers if layer.head is not None and layer.head.final), None)
    logits = (forward.logits.detach() if final is None else final).float()[:, : engine.class_count]
    return Batch(maps, logits, heads, class_index)


def _in_float32(maps: Tensor) -> Tensor:
    return maps.to(torch.promote_types(maps.dtype, torch.float32))


def _check_batch(engine: Engine, forward: _Forward, maps: dict[Pair, Tensor], heads: dict[str, Tensor]) -> list[str]:
    """Find layers whose linear head does not reproduce the network's logits for these images.

    A clip or mask behind the head may not have acted on the random images of the probe. All checks share one transfer
    from the device, since each transfer waits for a GPU.

    Raises:
        NotFinite: all heads are usable, but a map or the logits contain NaN or infinity.
    """
    logits, tolerance = forward.logits.detach(), TOLERANCES[engine.precision]
    results = {".".join(pair): values for pair, values in maps.items()} | {"logits": logits}
    final = [
        (layer.name, layer.head)
        for layer in engine.layers
        if layer.head is not None and layer.head.final and not layer.head.certain
    ]
    excess = [((heads[name] - logits).abs() - tolerance * logits.abs()).max() for name, _ in final]
    # A sum is finite only if all its terms are; this takes one kernel where `isfinite` takes four.
    total = sum((values.sum() for values in results.values()), start=torch.zeros((), device=logits.device))
    *excesses, checksum = torch.stack([*excess, total]).tolist()
    if math.isfinite(checksum) and all(each <= 0 for each in excesses):
        return []
    unusable = [name for name, head in final if not head.holds(forward.feature_maps[name], logits, tolerance)]
    if not unusable:
        check_finite(results)
    return unusable


def _capturing(engine: Engine) -> AbstractContextManager[Captured]:
    """Capture the layers' outputs, until the backward passes are done: `torch.utils.checkpoint` reruns layers there."""
    modules = {layer.name: layer.module for layer in engine.layers}
    return capture(modules, {layer.name for layer in engine.layers if layer.altered})


def _run(engine: Engine, images: Tensor, outputs: Captured) -> _Forward:
    recording = (
        capture_attention(engine.network, engine.blocks, engine.reads_each_block)
        if engine.blocks
        else nullcontext(BlockAttention())
    )
    with recording as attention:
        every = engine.logits(images.clone() if engine.writes_images else images)
    n, logits = len(images), every[: len(images)]
    if outputs.altered():
        raise RuntimeError(
            f"{outputs.altered()}: modified in place now, but not in the probe; the network is not deterministic"
        )
    feature_maps = {
        layer.name: _in_float32(to_maps(outputs[layer.name].detach(), layer.layout)[:n]) for layer in engine.layers
    }
    return _Forward(images, dict(outputs), feature_maps, logits, attention, every.split(n)[1:])


def _maps(engine: Engine, forward: _Forward, class_index: Tensor, perturbed: dict[Pair, Tensor]) -> dict[Pair, Tensor]:
    """All maps (n, K, h, w). Gradients of one class are freed before those of the next are computed."""
    computed: dict[Pair, list[Tensor]] = {(method.name, layer.name): [] for method, layer in engine.pairs}
    columns: list[Tensor | None] = [*class_index.unbind(1)]
    if engine.with_mean and any(method.linear for method, _ in engine.pairs):
        columns.append(None)  # explains the mean of all logits
    for k, column in enumerate(columns):
        gradients = _gradients(engine, forward, column, keep_graph=engine.reads_each_block or k + 1 < len(columns))
        for method, layer in engine.pairs:
            if (k and not method.knows_class) or (column is None and not method.linear):
                continue
            pair, feature_maps = (method.name, layer.name), forward.feature_maps[layer.name]
            if method.needs is Needs.CLASS_WEIGHTS:
                head = _head(layer)
                values = method.function(head.pooled(feature_maps), head.class_weights(column, len(feature_maps)))
            elif method.needs is Needs.GRADIENTS:
                values = method.function(feature_maps, gradients[layer.name])
            elif method.needs is Needs.NOTHING:
                values = _class_independent(method, layer, feature_maps)
            elif method.needs is Needs.ATTENTION_GRADIENTS:
                values = _over_tokens(layer, method.function(_attention_gradients(forward, column)))
            elif method.needs is Needs.ATTENTION:
                weights = (each.weights() for each in forward.attention.attentions)
                values = _over_tokens(layer, method.function(weights, layer.token_layout.segments[0][0] > 0))
            else:
                explained = forward.logits.detach().float().gather(1, class_index[:, k : k + 1])[:, 0]
                values = method.function(feature_maps, explained, perturbed[pair][:, k])
            computed[pair].append(values.float())
    return {pair: torch.stack(values, 1) for pair, values in computed.items()}


def _attention_gradients(forward: _Forward, column: Tensor | None) -> Iterator[Tensor]:
    """Gradients (n, heads, T, T) of the logit read out of each block, with respect to that block's attention."""
    if column is None:
        raise RuntimeError("attention methods have no map of the mean logit")
    seen = forward.attention
    if seen.joined is None:
        raise RuntimeError("the logits of each block were not read out")
    explained = torch.stack([logits.gather(1, column[:, None]).sum() for logits in forward.block_logits]).sum()
    # One backward pass through the head for all blocks, then each block by itself.
    (gradients,) = torch.autograd.grad(explained, seen.joined, retain_graph=True)
    parts = gradients.split(len(column))[1:]
    for attention, output, part in zip(seen.attentions, seen.outputs, parts, strict=True):
        (gradient,) = torch.autograd.grad((output * part).sum(), attention.output, retain_graph=True)
        yield attention.weight_gradients(gradient).float()


def _over_tokens(layer: Layer, values: Tensor) -> Tensor:
    """Values (n, T) of tokens as maps (n, h, w); the class token and registers are left out."""
    return to_maps(values[:, :, None], layer.token_layout)[:, 0]


def _head(layer: Layer) -> PooledHead:
    """The layer's linear head; `build_engine` pairs only such layers with `cam`."""
    if layer.head is None:
        raise RuntimeError(f"{layer.name} has no linear head")
    return layer.head


def _class_independent(method: Method, layer: Layer, feature_maps: Tensor) -> Tensor:
    """Map (n, h, w) of a method that takes only feature maps."""
    try:
        return method.function(feature_maps)
    except torch.linalg.LinAlgError:
        check_finite({f"{method.name}.{layer.name}": feature_maps})
        raise


def _gradients(engine: Engine, forward: _Forward, column: Tensor | None, keep_graph: bool) -> dict[str, Tensor]:
    """Gradients (n, C, h, w) of the explained logit, for each layer that a gradient method uses.

    Args:
        engine: the network and the maps to compute.
        forward: the forward pass.
        column: (n,) class of each image; None: the mean of all logits.
        keep_graph: whether another backward pass follows.
    """
    layers = list({layer.name: layer for method, layer in engine.pairs if method.needs is Needs.GRADIENTS}.values())
    if not engine.backward:
        return {layer.name: _head(layer).gradients(forward.feature_maps[layer.name], column) for layer in layers}
    outputs = [forward.outputs[layer.name] for layer in layers]
    if not layers:
        return {}
    if not forward.logits.requires_grad:
        raise InputError(
            "network",
            expected="logits that require gradients",
            found="logits without a graph",
            hint="remove torch.no_grad from its forward, or use methods without gradients (activation, eigencam)",
        )
    # In evaluation mode no image influences another, so one backward pass serves the whole batch.
    if column is None:
        explained = torch.full_like(forward.logits, 1 / forward.logits.shape[1])
    else:
        explained = torch.nn.functional.one_hot(column, forward.logits.shape[1]).to(forward.logits)
    # One number, not `grad_outputs`, for which PyTorch imports sympy (a second).
    total = (forward.logits * explained).sum()
    gradients = torch.autograd.grad(total, outputs, retain_graph=keep_graph, allow_unused=True)
    found = {layer.name: _gradient_maps(layer, gradient) for layer, gradient in zip(layers, gradients, strict=True)}
    # A layer behind the last block also has rows of the logits that were read out of each block.
    return {name: gradient[: len(forward.logits)] for name, gradient in found.items()}


def _gradient_maps(layer: Layer, gradient: Tensor | None) -> Tensor:
    """The gradient with respect to a layer's output, rearranged to (n, C, h, w)."""
    if gradient is None:
        raise InputError(
            f"layer {layer.name}",
            expected="a layer that the logits depend on",
            found="no gradient",
            hint="choose another layer",
        )
    maps = _in_float32(to_maps(gradient, layer.layout))
    if layer.layout.has_tokens and bool(gradient.any()) and not bool(maps.any()):
        raise InputError(
            f"layer {layer.name}",
            expected="logits that depend on its image tokens",
            found="logits that depend on its class token only",
            hint="choose an earlier layer, such as the second-last block",
        )
    return maps


def _perturbed(engine: Engine, forward: _Forward, class_index: Tensor) -> dict[Pair, Tensor]:
    """Explained logits with each channel masked or ablated, (n, K, C), for each pair that needs them."""
    functions = {Needs.MASKED_LOGITS: masked_logits, Needs.ABLATED_LOGITS: ablated_logits}
    with torch.no_grad():
        return {
            (method.name, layer.name): functions[method.needs](
                engine.logits,
                layer,
                forward.images,
                forward.feature_maps[layer.name],
                class_index,
            )
            for method, layer in engine.pairs
            if method.forward_passes_a_channel
        }
