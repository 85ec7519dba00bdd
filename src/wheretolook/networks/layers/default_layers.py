"""Default layers of any module: the last with places at each resolution; the error about a layer without places."""

from collections.abc import Mapping, Sequence
from math import isqrt

from torch import nn

from wheretolook.base.errors import InputError
from wheretolook.networks.layers.layout import Hints, Order
from wheretolook.networks.layers.places import Level, possible_grids
from wheretolook.networks.layers.trial_results import Trial, TrialResult

_CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)


def default_layers(
    seen: Mapping[str, TrialResult], modules: Mapping[str, nn.Module], level: Level = Level.DEFAULT
) -> list[str]:
    """At each resolution the last of the outermost layers with places that lead to the logits, first to last.

    Outermost: inside the fewest other layers with places, where a sequence is no layer of its own. Resolutions fall
    from one to the next: what runs before a layer of at least as many places is no last layer.

    Args:
        seen: result of the trial for each module.
        modules: by name.
        level: how much evidence of places a layer needs.
    """
    leading = {
        name: each
        for name, each in seen.items()
        if each.reading and each.reading.passes(level) and each.leads and not each.pads  # padding adds no places
    }
    # Logits at each place, as of an auxiliary head, come after the features.
    features = {each.reading.grid for each in leading.values() if each.reading and not each.classifies}
    leading = {
        name: each
        for name, each in leading.items()
        if not (each.classifies and each.reading and each.reading.grid in features)
    }
    outer = {
        name for name, each in seen.items() if each.has_places(level) and not isinstance(modules[name], _CONTAINERS)
    }
    # A module that does not lead to the logits but holds blocks that do is skipped: an encoder whose class token
    # alone is read.
    blocks = [name for name in leading if any(True for _ in modules[name].children())]
    outer -= {name for name in outer - set(leading) if any(block.startswith(name + ".") for block in blocks)}
    depth = {name: _depth(name, outer) for name in leading}
    grids = {name: each.reading.grid for name, each in seen.items() if each.reading}
    last: dict[tuple[int, int], str] = {}
    for name in sorted(leading, key=lambda name: leading[name].number):
        grid = grids[name]
        if grid not in last or depth[name] <= depth[last[grid]]:
            last[grid] = name
    last = {grid: _normalised(_origin(name, leading), seen, leading) for grid, name in last.items()}
    chosen: list[str] = []
    most = 0
    for name in sorted(last.values(), key=lambda name: leading[name].number, reverse=True):
        h, w = grids[name]
        if h * w > most:
            chosen.append(name)
            most = h * w
    return chosen[::-1]


def _origin(name: str, leading: Mapping[str, TrialResult]) -> str:
    """The layer whose output another one hands on as it is, as a shortcut or a dropout inside the next block."""
    while leading[name].passes_on and leading[name].follows in leading:
        name = leading[name].follows
    return name


def _depth(name: str, outer: set[str]) -> int:
    parts = name.split(".")
    return sum(".".join(parts[:count]) in outer for count in range(1, len(parts)))


def _normalised(name: str, seen: Mapping[str, TrialResult], leading: Mapping[str, TrialResult]) -> str:
    """The norm that reads a layer of tokens, where no later layer of its shape leads to the logits; else the layer.

    In the last block of a vision transformer only the class token leads on; its attention reads the places behind
    the block's first norm.
    """
    layer = leading[name]
    if layer.reading is None or not layer.reading.layout.has_tokens:
        return name
    behind = [n for n, each in seen.items() if each.number > layer.number and each.usable and not each.leads]
    behind = [n for n in behind if seen[n].shape == layer.shape]
    norms = [n for n, each in leading.items() if each.follows == name and each.shape == layer.shape]
    return norms[0] if behind and norms else name


_SHOWN = 6


def no_places(name: str, trial: Trial, default: Sequence[str]) -> InputError:
    """The error about a layer that was named and has no places.

    Args:
        name: of the layer.
        trial: of its network.
        default: the default layers of the network.
    """
    seen = trial.results[name]
    subject, hint = f"layer {name}", f"layers with places: {', '.join(default) or 'none found'}"
    if not seen.shape:
        return InputError(subject, "one tensor", seen.kind, hint)
    if seen.flat:
        return InputError(subject, "places in rows and columns", "one row of them", hint)
    if len(seen.shape) == 4 and seen.shape[0] > 1 and not seen.attention:
        found = f"{seen.shape[0]} for each image, shape {_shape(seen)}"
        return InputError(subject, "one output for each image", f"{found}: views or windows in the batch", hint)
    if len(seen.shape) == 3 and seen.shape[0] == 1 and not seen.constant:
        hint = f"give their order (grid=, prefix_tokens=): {_grids(seen.shape[1], trial)}; {hint}"
    return InputError(
        subject, "an output with places, as (N, C, h, w), (N, h, w, C) or (N, tokens, C)", _look(seen), hint
    )


def no_default(name: str, trial: Trial) -> InputError:
    """The error about a network without a default layer: it shows the last output that could have had places.

    Args:
        name: of the network.
        trial: of it.
    """
    shaped = [(layer, seen) for layer, seen in trial.results.items() if len(seen.shape) in (3, 4) and not seen.constant]
    near = [(layer, seen) for layer, seen in shaped if seen.reading is not None]
    found = "none"
    if near or shaped:
        layer, seen = (near or shaped)[-1]
        found = f"none; the last candidate is {layer}: {_look(seen)}"
    return InputError(
        name,
        "a layer with places (rows and columns of the image) that leads to the logits",
        found,
        "name a layer (layers=) and give the order of its output (grid=, prefix_tokens=, layout=)",
    )


def check_hints(name: str, trial: Trial, hints: Hints) -> None:
    """Check that a named layer is read as the user says; a default layer of another kind may differ.

    Raises:
        InputError: the output does not fit the grid, the number of prefix tokens or the layout.
    """
    seen = trial.results[name]
    if seen.reading is None:
        return
    layout = seen.reading.layout
    if hints.layout is not None and layout.order is not hints.layout:
        raise InputError(
            f"layer {name}", f"an output in the order {Order(hints.layout)}", _shape(seen), "change layout"
        )
    if not layout.has_tokens:
        return
    prefix = layout.segments[0][0]
    given = (hints.grid or seen.reading.grid, prefix if hints.prefix_tokens is None else hints.prefix_tokens)
    if given != (seen.reading.grid, prefix):
        count = seen.shape[layout.batch_dimension == 0]
        (h, w), before = given
        expected = f"at least {before + h * w} tokens, {before} and {h} x {w}"
        raise InputError(f"layer {name}", expected, f"{count} tokens", _grids(count, trial))
    if not seen.usable and hints.grid is not None:
        count, (h, w) = seen.shape[layout.batch_dimension == 0], hints.grid
        expected = f"a grid of all {count} tokens, or prefix_tokens beside grid={h}x{w}"
        found = f"{count - h * w} tokens outside {h} x {w}, at unknown positions"
        raise InputError(f"layer {name}", expected, found, _grids(count, trial))


def _look(seen: TrialResult) -> str:
    shape = seen.shape
    if seen.constant:
        return f"shape {_shape(seen)}, which does not depend on the image"
    if seen.attention:
        return f"an attention matrix, {shape[-1]} x {shape[-1]}{_of_grid(shape[-1])} ({_shape(seen)})"
    if len(shape) == 4 and shape[0] == 1 and seen.reading is not None:
        return f"shape {_shape(seen)}, whose rows and columns are not those of the image (heads, windows, a transpose?)"
    if len(shape) == 3 and shape[0] > 1:
        return f"windows of {shape[1]} tokens{_of_grid(shape[1])} in the batch ({_shape(seen)})"
    if len(shape) == 3 and seen.reading is not None:
        return f"shape {_shape(seen)}, whose tokens are not rows of the image (another order, or mixed)"
    return f"shape {_shape(seen)}"


def _shape(seen: TrialResult) -> str:
    return f"{seen.shape} for one image"


def _of_grid(tokens: int) -> str:
    side = isqrt(tokens)
    return f" of a {side} x {side} window" if side * side == tokens and side > 1 else f" of {tokens} tokens"


def _grids(count: int, trial: Trial) -> str:
    found = sorted(possible_grids(count, trial.patches.size), key=lambda grid: count - grid[0] * grid[1])
    if not found:
        return f"{count} tokens fit no grid of the image's proportion"
    shown = [f"{h} x {w} ({count - h * w} other)" for h, w in found[:_SHOWN]]
    return f"{count} tokens could be {', '.join(shown)}"
