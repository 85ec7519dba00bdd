"""Which classes of each image are explained, and batches that fit into the device's memory."""

import operator
from collections.abc import Callable, Sequence
from contextlib import suppress

import numpy as np
import torch
from torch import Tensor

from wheretolook.base.errors import InputError
from wheretolook.cams.compute import Batch, compute
from wheretolook.cams.engine import Engine
from wheretolook.mapstore.store import EVERY_CLASS_UP_TO
from wheretolook.networks.layers.layout import NotFinite

PREDICTED = "predicted"
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


def choose_classes(
    class_count: int,
    count: int,
    classes: Sequence[str | int] | None,
    class_names: tuple[str, ...],
    targets: Sequence[int] | np.ndarray | Tensor | str | None,
) -> ChooseRows:
    """Make the function that chooses the classes to explain in each image.

    Args:
        class_count: logits per image.
        count: N, number of images.
        classes: names or indices, the same for each image. None: every class if there are at most ten, otherwise the
            predicted one.
        class_names: names of the logits, in order; may be empty.
        targets: instead of `classes`, class indices of each image, (N,) or (N, K), or "predicted".

    Raises:
        InputError: an unknown class (the message lists the known ones), a wrong number of targets, or both arguments.
    """
    if classes is not None and targets is not None:
        raise InputError("classes, targets", expected="at most one of them", found="both", hint="leave one out")
    if isinstance(targets, str) and targets != PREDICTED:
        raise InputError("targets", expected=f'class indices or "{PREDICTED}"', found=f'"{targets}"')
    if targets is not None and not isinstance(targets, str):
        return _fixed_targets(_check_targets(targets, count, class_count))
    if class_names and len(class_names) != class_count:
        raise InputError("class_names", expected=f"one name for each of {class_count} logits", found=len(class_names))
    if classes is not None and (isinstance(classes, str) or not hasattr(classes, "__len__")):
        raise InputError("classes", expected="a list of names or indices", found=f"{classes!r}")
    if classes is not None and len(classes) == 0:
        raise InputError("classes", expected="at least one", found="none")
    if classes is not None:
        return fixed_classes([class_index(name, class_names, class_count) for name in classes])
    if targets is None and class_count <= EVERY_CLASS_UP_TO:
        return fixed_classes(list(range(class_count)))
    return lambda logits, rows: logits.argmax(1, keepdim=True)


def class_index(name: str | int, class_names: Sequence[str], count: int) -> int:
    """Index of a class, given its name or index.

    Raises:
        InputError: unknown class; the message lists the known ones.
    """
    if isinstance(name, str) and name in class_names:
        return list(class_names).index(name)
    if not isinstance(name, str | bool):
        with suppress(TypeError):  # accepts numpy integers and one-element tensors, too
            if 0 <= (index := operator.index(name)) < count:
                return index
    known = ", ".join(class_names) if class_names else f"0 to {count - 1} (class_names is empty)"
    raise InputError("classes", expected=f"one of {known}", found=f"{name!r}")


def _check_targets(targets: Sequence[int] | np.ndarray | Tensor, count: int, class_count: int) -> Tensor:
    try:
        given = torch.as_tensor(targets)
    except (TypeError, ValueError, RuntimeError) as error:  # names, or rows of different lengths
        raise InputError(
            "targets", expected=f"({count},) or ({count}, K) class indices, one row per image", found=f"{targets!r:.60}"
        ) from error
    found = given[:, None] if given.ndim == 1 else given
    if found.ndim != 2 or len(found) != count or found.is_floating_point() or found.dtype is torch.bool:
        shape = f"{tuple(given.shape)} of {str(found.dtype).removeprefix('torch.')}"
        raise InputError(
            "targets", expected=f"({count},) or ({count}, K) class indices, one row per image", found=shape
        )
    found = found.long()
    if found.numel() == 0 or int(found.min()) < 0 or int(found.max()) >= class_count:
        raise InputError(
            "targets", expected=f"class indices from 0 to {class_count - 1}", found=found.unique().tolist()
        )
    return found


def _fixed_targets(targets: Tensor) -> ChooseRows:
    return lambda logits, rows: targets[rows].to(logits.device)


def fixed_classes(indices: list[int]) -> ChooseRows:
    """The function that chooses these classes in each image."""
    return lambda logits, rows: torch.tensor(indices, device=logits.device).expand(len(logits), -1)


def targets_of_function(engine: Engine, function: Callable[[Tensor], Tensor]) -> tuple[Engine, ChooseRows]:
    """The engine that also explains the values of a function of the logits, and the choice of these."""
    subject, expected = "targets", f"a function from logits (n, {engine.class_count}) to values (n,) or (n, T)"

    def values(logits: Tensor) -> Tensor:
        found = function(logits)
        fits = isinstance(found, Tensor) and found.ndim in (1, 2) and len(found) == len(logits)
        if not fits or not found.is_floating_point():
            shape = f"{tuple(found.shape)} of {found.dtype}" if isinstance(found, Tensor) else type(found).__name__
            raise InputError(subject, expected, f"{shape} for {len(logits)} images")
        return found if found.ndim == 2 else found[:, None]

    tried = torch.zeros(2, engine.class_count, device=engine.device, requires_grad=True)
    with torch.enable_grad():
        count = values(tried).shape[1]
        if not values(tried).requires_grad:
            raise InputError(subject, expected, "values without a gradient", "use differentiable functions of PyTorch")
    places = list(range(engine.class_count, engine.class_count + count))
    return engine.explaining(values, linear=False), fixed_classes(places)


def targets_of_differences(
    engine: Engine,
    classes: Sequence[str | int | tuple[str | int, str | int]],
    class_names: tuple[str, ...],
    targets: object,
) -> tuple[Engine, ChooseRows]:
    """The engine that also explains differences of two logits, and the choice of classes and differences."""
    if targets is not None:
        raise InputError("classes, targets", expected="at most one of them", found="both", hint="leave one out")
    count = engine.class_count
    chosen: list[int] = []
    rows: list[Tensor] = []
    for each in classes:
        if not isinstance(each, tuple):
            chosen.append(class_index(each, class_names, count))
            continue
        if len(each) != 2:
            raise InputError("classes", 'a pair of classes such as ("cat", "dog")', f"{each!r}")
        row = torch.zeros(count)
        row[class_index(each[0], class_names, count)] += 1
        row[class_index(each[1], class_names, count)] -= 1
        chosen.append(count + len(rows))
        rows.append(row)
    matrix = torch.stack(rows, 1)  # (K, T)
    return engine.explaining(lambda logits: logits @ matrix.to(logits), linear=True), fixed_classes(chosen)
