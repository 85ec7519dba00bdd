"""Try a network of somebody else's on noise: where its logits are, which layers have places, and whether it is steady.

One pass of two images with a graph and a backward pass (shapes, order, which layers lead to the logits), one pass of
eight without (a small patch of the image changes, and each layer's response must peak there).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor, nn

from wheretolook.base.errors import InputError, is_gpu_failure, is_out_of_memory
from wheretolook.layers.layout import Hints, Order, same_but_for_rounding, to_maps
from wheretolook.layers.outputs import Readout, find_logits, follow, squashing
from wheretolook.layers.places import Grid, Patches, Reading, make_patches, possible_grids, read_grid, read_tokens
from wheretolook.networks.layered import hooked

# (C, H, W) of an image.
Shape = tuple[int, int, int]
# Images of the first pass; dimensions of this length count images.
IMAGES = 2
_NO_HINTS = Hints()
_ROUNDING = 1e-5  # of an output's largest value: what changes less than this says nothing
_STRENGTH = 3.0  # of the noise in a patch, over that of the image
_CHANNELS_FIRST = (
    nn.modules.conv._ConvNd,
    nn.modules.batchnorm._BatchNorm,
    nn.modules.instancenorm._InstanceNorm,
    nn.modules.pooling._MaxPoolNd,
    nn.modules.pooling._AvgPoolNd,
    nn.modules.pooling._AdaptiveMaxPoolNd,
    nn.modules.pooling._AdaptiveAvgPoolNd,
    nn.GroupNorm,
    nn.Upsample,
    nn.PixelShuffle,
    nn.PixelUnshuffle,
    nn.Dropout2d,
)


@dataclass(frozen=True)
class TrialResult:
    """What the trial found out about one module's output.

    Attributes:
        number: when it ran, among all modules; of several runs the last.
        shape: of the output for two images; empty where it is no tensor.
        kind: of the output, in words, where it is no tensor.
        reading: its places; None where it has none.
        usable: whether it can be looked at: the patches say so, or the user.
        leads: whether the logits depend on its places.
        follows: name of the module whose output it was given; empty where it was given another tensor.
        flat: it is feature maps in one row, (N, C, h * w).
        constant: it does not depend on the image.
        attention: it is an attention matrix: as many rows as columns, each row of shares that add up to 1.
    """

    number: int
    shape: tuple[int, ...]
    kind: str
    reading: Reading | None = None
    usable: bool = False
    leads: bool = False
    follows: str = ""
    flat: bool = False
    constant: bool = False
    attention: bool = False


@dataclass(frozen=True)
class Trial:
    """What is known of a network after the trial.

    Attributes:
        seen: each module that ran, by name.
        readout: where the logits are.
        patches: what was changed in the images.
    """

    seen: dict[str, TrialResult]
    readout: Readout
    patches: Patches


@dataclass
class _Record:
    """What the hooks note of one module: the first pass's output and its gradient, the second's response."""

    number: int = -1
    output: Tensor | None = None
    given: tuple[int, ...] = ()
    kind: str = ""
    first: np.ndarray | None = None
    last: np.ndarray | None = None
    follows: str = ""
    moved: Tensor | None = None


@dataclass
class _Records:
    by_name: dict[str, _Record] = field(default_factory=dict)
    made: dict[int, str] = field(default_factory=dict)
    ran: int = 0


def random_images(network: nn.Module, shape: Shape, count: int = 1) -> Tensor:
    """Images of noise (count, C, H, W), always the same, on the network's device and in its type."""
    weight = next(network.parameters(), torch.empty(0))
    noise = torch.randn(count, *shape, generator=torch.Generator().manual_seed(0))
    return noise.to(weight)


def run(network: nn.Module, images: Tensor) -> object:
    """What a network returns for images.

    Raises:
        InputError: it cannot run on them.
    """
    try:
        return network(images)
    except (RuntimeError, AssertionError, TypeError, ValueError, NotImplementedError) as error:
        if is_out_of_memory(error) or is_gpu_failure(error):
            raise
        if isinstance(error, TypeError | ValueError) and not _is_call(error, network):
            raise
        said = next(iter(str(error).splitlines()), type(error).__name__)[:200]
        shape = ", ".join(map(str, images.shape[1:]))
        raise InputError(
            type(network).__name__, f"to run on images (N, {shape})", f"an error: {said}", _way_out(error)
        ) from error


def _is_call(error: Exception, network: nn.Module) -> bool:
    """Whether the call itself failed, before any line of the network's own forward: other arguments are expected."""
    frames, trace = [], error.__traceback__
    while trace is not None:
        frames.append(trace.tb_frame.f_code)
        trace = trace.tb_next
    own = getattr(type(network).forward, "__code__", None)
    return isinstance(error, TypeError) and own not in frames


def _way_out(error: Exception) -> str:
    if isinstance(error, TypeError):
        return "wrap it in a module whose forward takes the images alone, as the first positional argument"
    return (
        "give images of the channels and the size that it was made for; where its forward casts them to another "
        "type (half), call the network with float32 throughout"
    )


_KEPT: "WeakKeyDictionary[nn.Module, dict[Any, Trial]]" = WeakKeyDictionary()


def find_trial(network: nn.Module, shape: Shape, hints: Hints = _NO_HINTS) -> Trial:
    """The trial of a network on images of a shape; of the same network in the same state, the one there is.

    Args:
        network: in evaluation mode, its weights without gradients.
        shape: (C, H, W) of the images.
        hints: what the user says of its layers.

    Raises:
        InputError: as for `try_network`.
    """
    state = _state(network, shape, hints)
    if state is None:
        return try_network(network, shape, hints)
    kept = _KEPT.get(network, {})
    if state not in kept:
        _KEPT[network] = kept = {state: try_network(network, shape, hints)}
    return kept[state]


def _state(network: nn.Module, shape: Shape, hints: Hints) -> tuple[object, ...] | None:
    """What the result of a trial depends on; None where it cannot be known."""
    weights = [*network.parameters(), *network.buffers()]
    if any(weight.is_inference() for weight in weights):
        return None
    plain = (bool, int, float, str, type(None))
    parts: list[object] = [shape, hints]
    for name, module in network.named_modules():
        settings = [(k, v) for k, v in vars(module).items() if k != "training" and isinstance(v, plain)]
        parts.append((name, id(module), id(vars(module).get("forward")), len(module._forward_hooks), tuple(settings)))
    return (*parts, *((weight.data_ptr(), weight._version, weight.dtype) for weight in weights))


def try_network(network: nn.Module, shape: Shape, hints: Hints = _NO_HINTS) -> Trial:
    """Try a network on noise.

    Args:
        network: in evaluation mode, its weights without gradients.
        shape: (C, H, W) of the images.
        hints: what the user says of its layers.

    Raises:
        InputError: it cannot run on such images, gives no logits, or gives other logits for the same image.
    """
    name = type(network).__name__
    modules = {n: m for n, m in network.named_modules() if n and not isinstance(m, torch.jit.ScriptModule)}
    noise = random_images(network, shape, 2)
    records = _Records({n: _Record() for n in modules})
    with torch.enable_grad(), hooked((m, partial(_note_first, records, n)) for n, m in modules.items()):
        whole = run(network, noise.clone().requires_grad_().clone())
    logits, keys = find_logits(whole, 2, name)
    readout = _readout(modules, records, logits, keys)
    gradients = _gradients(logits, records)
    patches = make_patches(shape[1:], _first_grid(records, shape))
    images = _patched(noise, patches)
    with torch.no_grad(), hooked((m, partial(_note_second, records, n, m)) for n, m in modules.items()):
        again = follow(run(network, images.clone()), keys)
    if len(again) != len(images):
        find_logits(again, len(images), name)
    scale = float(logits.detach().abs().max())
    if not same_but_for_rounding(again[:1], logits[:1].detach(), max(scale, 1e-6)):
        raise _unsteady(network, modules, noise, images, keys)
    return Trial(_judged(records, gradients, patches, hints), readout, patches)


def _note_first(records: _Records, name: str, module: nn.Module, inputs: Any, output: Any) -> None:
    record = records.by_name[name]
    record.number, records.ran = records.ran, records.ran + 1
    given = inputs[0] if isinstance(inputs, tuple) and inputs and isinstance(inputs[0], Tensor) else None
    record.given = () if given is None else tuple(given.shape)
    record.follows = "" if given is None else records.made.get(id(given), "")
    record.kind = type(output).__name__
    record.output = output if isinstance(output, Tensor) else None
    if record.output is not None:
        records.made[id(output)] = name
        if output.ndim == 3 and output.is_floating_point():
            if output.shape[0] == 2:
                record.moved = (output[0] - output[1]).detach().abs().amax(-1)
            elif output.shape[1] == 2:
                record.moved = (output[:, 0] - output[:, 1]).detach().abs().amax(-1)


def _note_second(records: _Records, name: str, kind: nn.Module, module: nn.Module, inputs: Any, output: Any) -> None:
    record = records.by_name[name]
    record.first = record.last = None
    before = record.output
    if before is None or not isinstance(output, Tensor) or not output.is_floating_point() or output.ndim not in (3, 4):
        return
    if before.ndim != output.ndim:
        return
    if before.shape[0] == 2 and output.shape[1:] == before.shape[1:]:
        change = (output[1:] - output[:1]).float()
        if output.ndim == 4:
            record.first = _norm(change, 1)
            if not isinstance(kind, _CHANNELS_FIRST):
                record.last = _norm(change, 3)
        else:
            record.first = _norm(change, 2)
    elif output.ndim == 3 and before.shape[1] == 2 and output.shape[0] == before.shape[0]:
        change = (output[:, 1:] - output[:, :1]).float()
        record.first = _norm(change, 2).T


def _norm(change: Tensor, dimension: int) -> np.ndarray:
    """How much each cell changed: the norm over a dimension, that of channels."""
    return torch.linalg.vector_norm(change, dim=dimension).cpu().numpy()


def _readout(
    modules: Mapping[str, nn.Module], records: _Records, logits: Tensor, keys: tuple[str | int, ...]
) -> Readout:
    own = [n for n, r in records.by_name.items() if r.output is logits]
    last = max(own, key=lambda n: (len(n), records.by_name[n].number), default="")
    # A softmax gives a tensor of its own; the shape of what it was given says that it worked on logits.
    given = torch.empty(records.by_name[last].given) if last and records.by_name[last].given else None
    return Readout(keys, *squashing(last, modules.get(last), logits, given))


def _gradients(logits: Tensor, records: _Records) -> dict[str, Tensor | None]:
    """Gradient of a random sum of the logits by each output; none where the graph is closed."""
    there = {n: r.output for n, r in records.by_name.items() if r.output is not None and r.output.requires_grad}
    if not logits.requires_grad or not there:
        return {}
    weights = torch.randn(logits.shape[1], generator=torch.Generator().manual_seed(1)).to(logits)
    found = torch.autograd.grad(logits, list(there.values()), weights.expand_as(logits), allow_unused=True)
    return dict(zip(there, found, strict=True))


def _first_grid(records: _Records, shape: Shape) -> Grid | None:
    """Rows and columns of the first output that is smaller than the image."""
    for record in sorted(records.by_name.values(), key=lambda r: r.number):
        output = record.output
        if output is None or record.number < 0 or output.shape[0] != 2:
            continue
        if output.ndim == 4 and 1 < output.shape[2] < shape[1] and 1 < output.shape[3] < shape[2]:
            return tuple(output.shape[2:])
        if output.ndim == 3 and output.shape[1] > 3:
            dividing = [
                (h, w)
                for h, w in possible_grids(output.shape[1], shape[1:])
                if shape[1] % h == 0 and shape[2] % w == 0 and h * shape[2] == w * shape[1]
            ]
            if dividing:
                return max(dividing, key=lambda grid: grid[0] * grid[1])
    return None


def _patched(noise: Tensor, patches: Patches) -> Tensor:
    """The first image, and a copy of it for each patch, whose pixels are other noise there."""
    images = noise[:1].repeat(1 + len(patches.boxes), 1, 1, 1)
    other = _STRENGTH * noise[1]
    for image, (top, left, bottom, right) in zip(images[1:], patches.boxes, strict=True):
        image[:, top:bottom, left:right] = other[:, top:bottom, left:right]
    return images


def _judged(
    records: _Records, gradients: dict[str, Tensor | None], patches: Patches, hints: Hints
) -> dict[str, TrialResult]:
    seen: dict[str, TrialResult] = {}
    grids: list[Grid] = []
    constant: dict[int, frozenset[int]] = {}  # tokens that are the same for both images, where so many first appear
    ran = [(name, record) for name, record in records.by_name.items() if record.number >= 0]
    for name, record in sorted(ran, key=lambda item: item[1].number):
        if record.moved is not None:
            constant.setdefault(len(record.moved), frozenset((record.moved == 0).nonzero().flatten().tolist()))
        shape = () if record.output is None else tuple(record.output.shape)
        attention = _is_attention(record.output)
        each = TrialResult(record.number, shape, record.kind, follows=record.follows, attention=attention)
        if record.first is not None and record.first.max() > _ROUNDING * float(record.output.detach().abs().max()):
            flat = len(record.given) == 4 and shape == (*record.given[:2], record.given[2] * record.given[3])
            reading = None if flat else _read(record, patches, grids, constant, hints)
            each = replace(each, reading=reading, flat=flat)
            if reading is not None:
                by_hand = (hints.grid == reading.grid or hints.prefix_tokens is not None) and len(shape) == 3
                by_hand = by_hand or (hints.layout is not None and hints.layout is reading.layout.order)
                gradient = gradients.get(name)
                leads = gradient is not None and bool(to_maps(gradient, reading.layout).any())
                each = replace(each, usable=reading.believed or by_hand, leads=leads)
                grids += [reading.grid] if reading.believed else []
        seen[name] = replace(each, constant=record.first is not None and not record.first.any())
    if not any(each.leads for each in seen.values()):
        # A classifier that starts at zero, or a closed graph: what leads to the logits cannot be seen.
        return {name: replace(each, leads=each.reading is not None) for name, each in seen.items()}
    return seen


def _is_attention(output: Tensor | None) -> bool:
    if output is None or output.ndim not in (3, 4) or not output.shape[-1] == output.shape[-2] > 1:
        return False
    values = output.detach()
    return bool((values >= 0).all()) and bool(((values.sum(-1) - 1).abs() < 1e-3).all())


def _read(
    record: _Record, patches: Patches, grids: list[Grid], constant: dict[int, frozenset[int]], hints: Hints
) -> Reading | None:
    if record.first.ndim == 3:
        return read_grid(record.first, record.last, patches, hints)
    count = record.first.shape[1]
    known = list(dict.fromkeys(reversed(grids)))
    halves = [((h + 1) // 2, (w + 1) // 2) for h, w in known]
    possible = possible_grids(count, patches.size, known + halves)
    if hints.grid is not None and hints.grid[0] * hints.grid[1] <= count:
        possible = [hints.grid]
    if hints.prefix_tokens is not None:
        possible = [grid for grid in possible if grid[0] * grid[1] == count - hints.prefix_tokens] or possible
    first = record.output.shape[0] != IMAGES or hints.layout is Order.TOKENS_FIRST
    return read_tokens(record.first, patches, possible, constant.get(count) or None, first, hints)


def _unsteady(
    network: nn.Module, modules: dict[str, nn.Module], noise: Tensor, images: Tensor, keys: tuple[str | int, ...]
) -> InputError:
    """Which layer draws at random, or mixes the images of a batch."""
    outputs: list[dict[str, Tensor]] = []

    def note(kept: dict[str, Tensor], name: str, module: nn.Module, inputs: Any, output: Any) -> None:
        if isinstance(output, Tensor) and name not in kept:
            kept[name] = output.clone()

    for batch in (noise, noise, images):
        kept: dict[str, Tensor] = {}
        with torch.no_grad(), hooked((m, partial(note, kept, n)) for n, m in modules.items()):
            kept[""] = follow(run(network, batch.clone()), keys)
        outputs.append(kept)
    first, second, beside = outputs
    name = type(network).__name__

    def differing(a: dict[str, Tensor], b: dict[str, Tensor]) -> str | None:
        for layer in [layer for layer in a if layer in b]:
            comparable = len(a[layer]) and len(b[layer]) and a[layer].shape[1:] == b[layer].shape[1:]
            if comparable and not same_but_for_rounding(b[layer][:1], a[layer][:1]):
                return layer
        return None

    if (layer := differing(first, second)) is not None:
        where = f"layer {layer}" if layer else f"{name}.forward"
        return InputError(
            where,
            "the same output for the same image",
            "another one each time, in evaluation mode",
            "it, or what runs just before it, draws random numbers: F.dropout needs training=self.training",
        )
    layer = differing(first, beside)
    where = f"layer {layer}" if layer else f"{name}.forward"
    return InputError(
        where,
        "an output of an image that does not depend on the other images of its batch",
        "that it does",
        "batch normalisation needs running statistics (track_running_stats=True)",
    )
