"""A batch that does not fit into a GPU's memory is done in halves."""

from collections.abc import Callable

import torch
from torch import Tensor

from wheretolook.cams.compute import Batch, compute
from wheretolook.cams.engine import Engine
from wheretolook.data.refusal import Refusal

ChooseRows = Callable[[Tensor, slice], Tensor]


def compute_in_halves(engine: Engine, images: Tensor, rows: slice, choose: ChooseRows) -> list[tuple[slice, Batch]]:
    """The maps of a batch: in one piece, or in halves of halves where the device's memory is too small for it.

    Args:
        engine: what to take, and of which network.
        images: (n, 3, H, W), normalised, on the network's device.
        rows: which of all images these are.
        choose: classes to explain, out of logits (n, classes) and the images' rows: (n, K) int64.

    Returns:
        The parts, each with its rows.

    Raises:
        Refusal: even one image is too much, or a map holds NaN.
    """
    try:
        return [(rows, compute(engine, images, lambda logits: choose(logits, rows)))]
    except torch.OutOfMemoryError as error:
        if len(images) == 1:
            raise Refusal(f"one image of {tuple(images.shape[1:])} does not fit into the device's memory") from error
    # Outside the handler: the error holds on to the tensors that filled the memory.
    torch.cuda.empty_cache()
    middle = rows.start + len(images) // 2
    first = compute_in_halves(engine, images[: len(images) // 2], slice(rows.start, middle), choose)
    return first + compute_in_halves(engine, images[len(images) // 2 :], slice(middle, rows.stop), choose)
