"""Try any network on noise: where its logits are, which layers have places, whether its outputs are steady.

One pass of one image with a graph and a backward pass (shapes, order, which layers lead to the logits), one pass of
nine without: the same image, seven copies in which a small patch has changed, and another image. Where the
choice of default layers depends on how much evidence is required, four copies of the other image follow, with other
patches.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from wheretolook.base.errors import InputError
from wheretolook.networks.layers.default_layers import default_layers
from wheretolook.networks.layers.heads import ends_in, find_head, noting_linear
from wheretolook.networks.layers.layout import Hints, possible_grids, same_but_for_rounding, to_maps
from wheretolook.networks.layers.outputs import Readout, find_logits, find_squashing
from wheretolook.networks.layers.places import Grid, Level
from wheretolook.networks.layers.recording import Patches, Record, Records
from wheretolook.networks.layers.steadiness import Shape, random_images, run, unsteady
from wheretolook.networks.layers.trial_results import Trial, TrialResult, judge_records

_NO_HINTS = Hints()
# Centres of the patches, as (row, column) parts of the image. No two share a row, a column or a diagonal, so that a
# transposed, flipped or shifted reading of a layer misses some of them.
CENTRES = ((0.10, 0.60), (0.90, 0.36), (0.35, 0.10), (0.62, 0.90), (0.17, 0.85), (0.80, 0.17), (0.46, 0.34))
_MORE = 4  # patches of the second pass
_STRENGTH = 3.0  # of the noise in a patch, over that of the image


_KEPT: "WeakKeyDictionary[nn.Module, dict[Any, Trial]]" = WeakKeyDictionary()


def find_trial(network: nn.Module, shape: Shape, hints: Hints = _NO_HINTS) -> Trial:
    """The trial of a network on images of a shape; kept until the network changes.

    Args:
        network: in evaluation mode, its weights without gradients.
        shape: (C, H, W) of the images.
        hints: of the user.

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
    """What the result of a trial depends on; None where it cannot be determined."""
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
        hints: of the user.

    Raises:
        InputError: it cannot run on such images, gives no logits, or gives other logits for the same image.
    """
    name = type(network).__name__
    modules = {n: m for n, m in network.named_modules() if n and not isinstance(m, torch.jit.ScriptModule)}
    noise = random_images(network, shape, 2)
    records = Records({n: Record() for n in modules})
    with torch.enable_grad():
        alone = noise[:1].clone().requires_grad_().clone()
        written = alone._version
        with records.alone(modules, alone), noting_linear(network) as linears:
            whole = run(network, alone)
        writes_images = alone._version > written
    logits, keys = find_logits(whole, 1, name)
    if not bool(torch.isfinite(logits).all()):
        raise InputError(name, "finite logits for noise images", "NaN or infinity", "check the weights")
    gradients = _gradients(logits, records)
    ends = ends_in(linears, logits)
    patches = _make_patches(shape[1:], _first_grid(records, shape))
    images = _patched(noise, patches)
    with torch.no_grad(), records.patched(modules):
        beside, _ = find_logits(run(network, images.clone()), len(images), name)
    scale = float(logits.detach().abs().max())
    if not same_but_for_rounding(beside[:1], logits.detach(), max(scale, 1e-6)):
        raise unsteady(network, modules, images, keys)
    readout = _readout(modules, records, logits, beside, keys)
    results = judge_records(records, gradients, patches, hints, logits.shape[1])
    chosen = [default_layers(results, modules, level) for level in (Level.STRICT, Level.LENIENT)]
    if chosen[0] != chosen[1]:
        second = _make_patches(shape[1:], _first_grid(records, shape), second=True)
        with torch.no_grad(), records.patched_again(modules):
            run(network, _patched(noise.flip(0), second)[1:-1])
        patches = Patches(patches.boxes + second.boxes, patches.size)
        results = judge_records(records, gradients, patches, hints, logits.shape[1])
    results = {name: _with_head(result, records, name, ends) for name, result in results.items()}
    return Trial(results, readout, patches, logits.shape[1], writes_images)


def _with_head(result: TrialResult, records: Records, name: str, ends: list[tuple[nn.Linear, Tensor]]) -> TrialResult:
    output, reading, altered = records.by_name[name].output, result.reading, records.altered(name)
    if output is None or reading is None or not result.usable or altered:
        return replace(result, altered=altered)
    channels = output.shape[reading.layout.channel_dimension]
    pooling = [(linear, given) for linear, given in ends if given.shape[1] == channels]
    return replace(result, head=find_head(pooling, to_maps(output.detach(), reading.layout)))


def _readout(
    modules: Mapping[str, nn.Module], records: Records, logits: Tensor, beside: Tensor, keys: tuple[str | int, ...]
) -> Readout:
    own = [(len(name), record.number, name) for name, record in records.in_order() if record.output is logits]
    last = max(own)[2] if own else ""
    # A softmax gives a tensor of its own; only the shape of its input says that it worked on logits.
    given = records.by_name[last].given if last else ()
    return Readout(keys, *find_squashing(last, modules.get(last), given, logits, beside))


def _gradients(logits: Tensor, records: Records) -> dict[str, Tensor | None]:
    """Gradient of a random sum of the logits by each output; empty where the graph is closed."""
    outputs = {n: r.output for n, r in records.in_order() if r.output is not None and r.output.requires_grad}
    if not logits.requires_grad or not outputs:
        return {}
    weights = torch.randn(logits.shape[1], generator=torch.Generator().manual_seed(1)).to(logits)
    # One number: with a tensor of weights for many, PyTorch imports sympy, which takes a second.
    with torch.enable_grad():
        total = (logits * weights).sum()
    found = torch.autograd.grad(total, list(outputs.values()), allow_unused=True)
    return dict(zip(outputs, found, strict=True))


def _first_grid(records: Records, shape: Shape) -> Grid | None:
    """Rows and columns of the first output that is smaller than the image."""
    for _, record in records.in_order():
        output = record.output
        if output is None or output.shape[0] != 1:
            continue
        if output.ndim == 4 and 1 < output.shape[2] < shape[1] and 1 < output.shape[3] < shape[2]:
            return output.shape[2], output.shape[3]
        if output.ndim == 3 and output.shape[1] > 3:
            dividing = [
                (h, w)
                for h, w in possible_grids(output.shape[1], shape[1:])
                if shape[1] % h == 0 and shape[2] % w == 0 and h * shape[2] == w * shape[1]
            ]
            if dividing:
                return max(dividing, key=lambda grid: grid[0] * grid[1])
    return None


def _make_patches(size: Grid, grid: Grid | None, second: bool = False) -> Patches:
    """Patches about a fourteenth of the image wide; each one is whole cells of `grid`, the first that the network has.

    Args:
        size: (H, W) of the images.
        grid: (h, w); None: as many cells as there are pixels.
        second: others, the mirror images of the first in the middle column.
    """
    spans = []
    for axis in (0, 1):
        length = size[axis]
        cells = grid[axis] if grid is not None else length
        step = max(1, round(cells / 14))
        step = 1 << (step.bit_length() - 1)  # cells that later layers merge, two by two
        centres = CENTRES[:_MORE] if second else CENTRES
        parts = [1 - centre[1] if second and axis else centre[axis] for centre in centres]
        spans.append([_span(int(part * cells) // step * step, step, cells, length) for part in parts])
    return Patches(tuple((t, y, b, r) for (t, b), (y, r) in zip(*spans, strict=True)), size)


def _span(first: int, step: int, cells: int, length: int) -> tuple[int, int]:
    start, stop = round(first * length / cells), round(min(first + step, cells) * length / cells)
    return start, max(stop, start + 1)


def _patched(noise: Tensor, patches: Patches) -> Tensor:
    """The first image, copies of it with other noise in a patch each, and the second image."""
    images = noise[:1].repeat(2 + len(patches.boxes), 1, 1, 1)
    other = _STRENGTH * noise[1]
    for image, (top, left, bottom, right) in zip(images[1:], patches.boxes, strict=False):
        image[:, top:bottom, left:right] = other[:, top:bottom, left:right]
    images[-1] = noise[1]
    return images
