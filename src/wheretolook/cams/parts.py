"""A batch in parts: as many images at a time as are fastest on the device, and as fit into its memory."""

from collections.abc import Callable

import torch
from torch import Tensor

from wheretolook.cams.compute import Batch, compute
from wheretolook.cams.engine import Engine
from wheretolook.cams.finite import NotFinite
from wheretolook.data.refusal import Refusal

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
        Refusal: even one image is too much for the device's memory.
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
            raise Refusal(
                f"one image of {tuple(images.shape[1:])} does not fit into the device's memory; free some, "
                "set WHERETOLOOK_DEVICE=cpu, or look at fewer layers"
            ) from error
    # Outside the handler: the error holds on to the tensors that filled the memory.
    torch.cuda.empty_cache()
    half = len(images) // 2
    say(f"the device's memory is too small for {len(images)} images at a time: {len(images) - half} instead, same maps")
    middle = rows.start + half
    first = _in_halves(engine, images[:half], slice(rows.start, middle), choose, say)
    return first + _in_halves(engine, images[half:], slice(middle, rows.stop), choose, say)
