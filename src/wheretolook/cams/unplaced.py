"""What the output of a layer without places looks like, in words, and which layers have some."""

from collections.abc import Sequence
from math import isqrt

from wheretolook.cams.places import possible_grids
from wheretolook.cams.trial import IMAGES, Seen, Trial
from wheretolook.errors import InputError

_SHOWN = 6


def no_places(name: str, trial: Trial, default: Sequence[str]) -> InputError:
    """The error about a layer that was named and has no places.

    Args:
        name: of the layer.
        trial: of its network.
        default: layers that are looked at where none are named.
    """
    seen = trial.seen[name]
    subject, hint = f"layer {name}", f"layers with places: {', '.join(default) or 'none was found'}"
    copies = seen.shape[0] / IMAGES if seen.shape else 0
    if not seen.shape:
        return InputError(subject, "one tensor", seen.kind, hint)
    if seen.flat:
        return InputError(subject, "places in rows and columns", "one row of them", hint)
    if len(seen.shape) == 4 and copies > 1 and copies == int(copies) and not seen.attention:
        found = f"{int(copies)} for each image, shape {_shape(seen)} for {IMAGES} images"
        return InputError(subject, "one output for each image", f"{found}: views or windows in the batch", hint)
    if len(seen.shape) == 3 and copies == 1 and not seen.constant:
        hint = f"say how they lie (grid=, prefix_tokens=): {_grids(seen.shape[1], trial)}; {hint}"
    return InputError(
        subject, "an output with places, as (N, C, h, w), (N, h, w, C) or (N, tokens, C)", _look(seen), hint
    )


def _look(seen: Seen) -> str:
    shape = seen.shape
    if seen.constant:
        return f"shape {_shape(seen)}, which does not depend on the image"
    if seen.attention:
        return f"an attention matrix, {shape[-1]} x {shape[-1]}{_of_grid(shape[-1])} ({_shape(seen)})"
    if len(shape) == 4 and shape[0] == IMAGES and seen.reading is not None:
        return f"shape {_shape(seen)}, whose rows and columns are not those of the image (heads, windows, a transpose?)"
    if len(shape) == 3 and shape[0] != IMAGES and shape[0] % IMAGES == 0:
        return f"windows of {shape[1]} tokens{_of_grid(shape[1])} in the batch ({_shape(seen)})"
    if len(shape) == 3 and seen.reading is not None:
        return f"shape {_shape(seen)}, whose tokens are not rows of the image (another order, or mixed)"
    return f"shape {_shape(seen)}"


def _shape(seen: Seen) -> str:
    return str(tuple(seen.shape)) + (f" for {IMAGES} images" if seen.shape[0] == IMAGES else "")


def _of_grid(tokens: int) -> str:
    side = isqrt(tokens)
    return f" of a {side} x {side} window" if side * side == tokens and side > 1 else f" of {tokens} tokens"


def _grids(count: int, trial: Trial) -> str:
    found = sorted(possible_grids(count, trial.patches.size), key=lambda grid: count - grid[0] * grid[1])
    if not found:
        return f"{count} tokens fit no grid of the image's proportion"
    shown = [f"{h} x {w} ({count - h * w} other)" for h, w in found[:_SHOWN]]
    return f"{count} tokens could be {', '.join(shown)}"
