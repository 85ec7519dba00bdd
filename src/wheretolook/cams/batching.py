"""Compute many images in batches that fit into the device's memory."""

from collections.abc import Callable

import torch
from torch import Tensor

from wheretolook.base.errors import InputError
from wheretolook.cams.compute import Batch, compute
from wheretolook.cams.engine import Engine
from wheretolook.networks.layers.layout import NotFinite

ChooseRows = Callable[[Tensor, slice], Tensor]
Report = Callable[[str], None]


def _ignore(line: str) -> None:
    """Report nothing."""


def compute_batched(
    engine: Engine, images: Tensor, rows: slice, choose: ChooseRows, report: Report = _ignore
) -> list[tuple[slice, Batch]]:
    """Compute the maps of some images in smaller batches: `Engine.max_batch`, halved while device memory is short.

    Args:
        engine: the network and the maps to compute.
        images: (n, 3, H, W), normalised.
        rows: position of these images among all images.
        choose: returns the classes to explain, (n, K) int64, given logits (n, classes) and the images' rows.
        report: receives a line each time memory was short.

    Returns:
        Batches with their rows.

    Raises:
        InputError: even a single image does not fit into the device's memory.
        NotFinite: a map or the logits contain NaN or infinity; its `places` are rows.
    """
    count = -(-len(images) // (engine.max_batch or len(images)))
    step = -(-len(images) // count)  # batches of equal size
    computed = []
    for start in range(0, len(images), step):
        batch = images[start : start + step]
        first = rows.start + start
        computed += _halving(engine, batch, slice(first, first + len(batch)), choose, report)
    return computed


def _halving(
    engine: Engine, images: Tensor, rows: slice, choose: ChooseRows, report: Report
) -> list[tuple[slice, Batch]]:
    """Compute a batch; if memory runs out, its two halves."""
    try:
        return [(rows, compute(engine, images, lambda logits: choose(logits, rows)))]
    except NotFinite as error:
        raise NotFinite(error.what, [rows.start + place for place in error.places]) from error
    except torch.OutOfMemoryError as error:
        if len(images) == 1:
            raise InputError(
                "device memory",
                expected=f"room for one image of shape {tuple(images.shape[1:])}",
                found="too little",
                hint="free memory on the device, set WHERETOLOOK_DEVICE=cpu, or choose fewer layers",
            ) from error
    # Outside the handler, since the exception keeps the tensors that filled the memory alive.
    torch.cuda.empty_cache()
    half = len(images) // 2
    report(
        f"out of device memory with {len(images)} images per batch; continuing with {len(images) - half} (same maps)"
    )
    middle = rows.start + half
    first = _halving(engine, images[:half], slice(rows.start, middle), choose, report)
    return first + _halving(engine, images[half:], slice(middle, rows.stop), choose, report)
