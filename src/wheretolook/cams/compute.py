"""Every method, every layer and every class of a batch, in one forward pass and at most one backward pass a class.

Two methods need more, and only they: `scorecam` and `ablationcam` run the network once for each channel of a layer.
"""

import math
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch
from torch import Tensor

from wheretolook.base.errors import InputError
from wheretolook.cams.engine import Engine
from wheretolook.cams.methods.method import Method, Needs
from wheretolook.cams.methods.perturbations import ablated_logits, masked_logits
from wheretolook.layers.capture import Captured, capture
from wheretolook.layers.layer import Layer
from wheretolook.layers.layout import TOLERANCE, NotFinite, check_finite, to_maps

Pair = tuple[str, str]
Choice = Callable[[Tensor], Tensor]
# By how much the network's logits may differ from those of a head that holds, as a part of their summands.
TOLERANCES = {"float32": TOLERANCE, "bfloat16": 0.03}


@dataclass(frozen=True)
class Batch:
    """What a batch gives, on the network's device.

    Attributes:
        maps: (method, layer) to (n, K, h, w) float32; K is 1 for a method that knows no class. Where the mean was asked
            for, the last map of a method that is linear in the class is of the mean of all logits.
        logits: (n, classes) float32.
        head_logits: layer to (n, classes) float32, for each layer with a trained head.
        class_index: (n, K) int64, the classes that were chosen.
    """

    maps: dict[Pair, Tensor]
    logits: Tensor
    head_logits: dict[str, Tensor]
    class_index: Tensor

    def to(self, device: str) -> "Batch":
        """The same, elsewhere: on a GPU, the maps of many batches would fill what the next one needs."""
        return Batch(
            {pair: maps.to(device) for pair, maps in self.maps.items()},
            self.logits.to(device),
            {layer: logits.to(device) for layer, logits in self.head_logits.items()},
            self.class_index.to(device),
        )


@dataclass(frozen=True)
class _Forward:
    """One forward pass: its images, the layers' outputs as they came, as feature maps, and the logits."""

    images: Tensor
    outputs: dict[str, Tensor]
    feature_maps: dict[str, Tensor]
    logits: Tensor


def compute(engine: Engine, images: Tensor, choose: Choice) -> Batch:
    """Maps of a batch.

    Args:
        engine: what to take, and of which network.
        images: (n, 3, H, W), normalised; they are brought to the network's device and type.
        choose: which classes to explain in each image, out of the logits (n, classes): (n, K) int64.

    Raises:
        NotFinite: a map or logits that hold NaN or infinity.
        InputError: `cam` of a layer whose head, which held for the trial, does not hold for these images.
    """
    with engine.steadied(), _capturing(engine) as outputs:
        images = images.to(engine.device, engine.dtype, memory_format=engine.memory_format)
        forward = _run(engine, images.clone() if images.is_inference() else images.detach(), outputs)
        class_index = choose(forward.logits.detach())
        perturbed = _perturbed(engine, forward, class_index)
        # What follows the network is in float32: automatic mixed precision would round its products.
        with torch.autocast(engine.device.type, enabled=False):
            maps = _maps(engine, forward, class_index, perturbed)
            heads = {y.name: y.head.logits(forward.feature_maps[y.name]) for y in engine.layers if y.head is not None}
            broken = _checked(engine, forward, maps, heads)
    if broken:
        return compute(engine.without_heads(broken), images, choose)
    final = next((heads[y.name] for y in engine.layers if y.head is not None and y.head.final), None)
    return Batch(maps, (forward.logits.detach() if final is None else final).float(), heads, class_index)


def _in_float32(maps: Tensor) -> Tensor:
    return maps.to(torch.promote_types(maps.dtype, torch.float32))


def _checked(engine: Engine, forward: _Forward, maps: dict[Pair, Tensor], heads: dict[str, Tensor]) -> list[str]:
    """Layers whose heads are not those of the network's own logits, for these images: a clip was idle in the trial.

    All is asked at once: a GPU is waited for each time that one is.

    Raises:
        NotFinite: maps or logits that hold NaN or infinity, of heads that hold.
    """
    logits, tolerance = forward.logits.detach(), TOLERANCES[engine.precision]
    found = {".".join(pair): values for pair, values in maps.items()} | {"logits": logits}
    final = [y for y in engine.layers if y.head is not None and y.head.final and not y.head.certain]
    off = [((heads[y.name] - logits).abs() - tolerance * logits.abs()).max() for y in final]
    # A sum is finite only if all its summands are, and takes one step where asking each of them takes four.
    *off, total = torch.stack([*off, sum(values.sum() for values in found.values())]).tolist()
    if math.isfinite(total) and all(each <= 0 for each in off):
        return []
    broken = [y.name for y in final if not y.head.holds(forward.feature_maps[y.name], logits, tolerance)]
    if not broken:
        check_finite(found)
    return broken


def _capturing(engine: Engine) -> AbstractContextManager[Captured]:
    """Capture the layers for as long as backward passes may run parts of the network again, as `checkpoint` does."""
    modules = {layer.name: layer.module for layer in engine.layers}
    return capture(modules, {layer.name for layer in engine.layers if layer.altered})


def _run(engine: Engine, images: Tensor, outputs: Captured) -> _Forward:
    logits = engine.network(images.clone() if engine.writes_images else images)
    if outputs.altered():
        raise RuntimeError(f"{outputs.altered()}: written over now, but not in the trial: the network is not steady")
    feature_maps = {y.name: _in_float32(to_maps(outputs[y.name].detach(), y.layout)) for y in engine.layers}
    return _Forward(images, dict(outputs), feature_maps, logits)


def _maps(engine: Engine, forward: _Forward, class_index: Tensor, perturbed: dict[Pair, Tensor]) -> dict[Pair, Tensor]:
    """All maps (n, K, h, w), class by class: one class's gradients are gone before the next come."""
    found: dict[Pair, list[Tensor]] = {(method.name, layer.name): [] for method, layer in engine.pairs}
    columns: list[Tensor | None] = [*class_index.unbind(1)]
    if engine.with_mean and any(method.linear for method, _ in engine.pairs):
        columns.append(None)  # the mean of all classes
    for k, column in enumerate(columns):
        gradients = _gradients(engine, forward, column, keep_graph=k + 1 < len(columns))
        for method, layer in engine.pairs:
            if (k and not method.knows_class) or (column is None and not method.linear):
                continue
            pair, feature_maps = (method.name, layer.name), forward.feature_maps[layer.name]
            if method.needs is Needs.CLASS_WEIGHTS:
                weights = layer.head.class_weights(column, len(feature_maps))
                values = method.function(layer.head.pooled(feature_maps), weights)
            elif method.needs is Needs.GRADIENTS:
                values = method.function(feature_maps, gradients[layer.name])
            elif method.needs is Needs.NOTHING:
                values = _of_nothing(method, layer, feature_maps)
            else:
                explained = forward.logits.detach().float().gather(1, class_index[:, k : k + 1])[:, 0]
                values = method.function(feature_maps, explained, perturbed[pair][:, k])
            found[pair].append(values.float())
    return {pair: torch.stack(values, 1) for pair, values in found.items()}


def _of_nothing(method: Method, layer: Layer, feature_maps: Tensor) -> Tensor:
    """A map of the feature maps alone."""
    try:
        return method.function(feature_maps)
    except torch.linalg.LinAlgError:
        check_finite({f"{method.name}.{layer.name}": feature_maps})
        raise


def _gradients(engine: Engine, forward: _Forward, column: Tensor | None, keep_graph: bool) -> dict[str, Tensor]:
    """Gradients (n, C, h, w) of each image's explained logit by the feature maps of each layer that is asked for."""
    layers: list[Layer] = list({y.name: y for method, y in engine.pairs if method.needs is Needs.GRADIENTS}.values())
    if not engine.backward:
        return {y.name: y.head.gradients(forward.feature_maps[y.name], column) for y in layers}
    outputs = [forward.outputs[y.name] for y in layers]
    if not forward.logits.requires_grad:
        raise InputError(
            "expected logits that depend on the layers by a graph, found none: does the network's forward run under "
            "`torch.no_grad`? Take that out of it, or ask for methods without gradients (activation, eigencam)"
        )
    # Images do not meet in evaluation mode, so that one backward pass serves them all.
    if column is None:
        explained = torch.full_like(forward.logits, 1 / forward.logits.shape[1])
    else:
        explained = torch.nn.functional.one_hot(column, forward.logits.shape[1]).to(forward.logits)
    gradients = torch.autograd.grad(
        forward.logits, outputs, grad_outputs=explained, retain_graph=keep_graph, allow_unused=True
    )
    return {y.name: _at_places(y, gradient) for y, gradient in zip(layers, gradients, strict=True)}


def _at_places(layer: Layer, gradient: Tensor | None) -> Tensor:
    """A gradient by the layer's output, as one by its feature maps (n, C, h, w)."""
    if gradient is None:
        raise InputError(
            f"layer {layer.name}", expected="to lead to the logits, but nothing flows back", hint="name another"
        )
    maps = _in_float32(to_maps(gradient, layer.layout))
    if layer.layout.has_tokens and bool(gradient.any()) and not bool(maps.any()):
        raise InputError(
            f"layer {layer.name}",
            expected="logits that depend on its places",
            found="that only its class token leads on",
            hint="name an earlier layer, such as the last block but one",
        )
    return maps


def _perturbed(engine: Engine, forward: _Forward, class_index: Tensor) -> dict[Pair, Tensor]:
    """For each pair that asks for it, the explained logits with each channel masked or ablated: (n, K, C)."""
    run = {Needs.MASKED_LOGITS: masked_logits, Needs.ABLATED_LOGITS: ablated_logits}
    wanted: list[tuple[Method, Layer]] = [(m, y) for m, y in engine.pairs if m.forward_passes_a_channel]
    with torch.no_grad():
        return {
            (m.name, y.name): run[m.needs](engine.network, y, forward.images, forward.feature_maps[y.name], class_index)
            for m, y in wanted
        }


ChooseRows = Callable[[Tensor, slice], Tensor]
Say = Callable[[str], None]


def _silent(line: str) -> None:
    """Say nothing."""


def compute_in_parts(
    engine: Engine, images: Tensor, rows: slice, choose: ChooseRows, say: Say = _silent
) -> list[tuple[slice, Batch]]:
    """The maps of a batch: on a CPU in parts that it is fast at; on a GPU whole, or in halves where memory is short.

    Args:
        engine: what to take, and of which network.
        images: (n, 3, H, W), normalised.
        rows: which of all images these are.
        choose: classes to explain, out of logits (n, classes) and the images' rows: (n, K) int64.
        say: is given a line where memory was short.

    Returns:
        The parts, each with its rows.

    Raises:
        InputError: even one image is too much for the device's memory.
        NotFinite: a map or logits hold NaN; `places` are rows.
    """
    count = -(-len(images) // (engine.at_once or len(images)))
    step = -(-len(images) // count)  # parts of one size
    found = []
    for start in range(0, len(images), step):
        part = images[start : start + step]
        first = rows.start + start
        found += _in_halves(engine, part, slice(first, first + len(part)), choose, say)
    return found


def _in_halves(engine: Engine, images: Tensor, rows: slice, choose: ChooseRows, say: Say) -> list[tuple[slice, Batch]]:
    try:
        return [(rows, compute(engine, images, lambda logits: choose(logits, rows)))]
    except NotFinite as error:
        raise NotFinite(error.what, [rows.start + place for place in error.places]) from error
    except torch.OutOfMemoryError as error:
        if len(images) == 1:
            raise InputError(
                f"one image of {tuple(images.shape[1:])} does not fit into the device's memory",
                hint="free some, set WHERETOLOOK_DEVICE=cpu, or look at fewer layers",
            ) from error
    # Outside the handler: the error holds on to the tensors that filled the memory.
    torch.cuda.empty_cache()
    half = len(images) // 2
    say(f"the device's memory is too small for {len(images)} images at a time: {len(images) - half} instead, same maps")
    middle = rows.start + half
    first = _in_halves(engine, images[:half], slice(rows.start, middle), choose, say)
    return first + _in_halves(engine, images[half:], slice(middle, rows.stop), choose, say)
