"""Which classes are explained in which image."""

import operator
from collections.abc import Sequence
from contextlib import suppress

import numpy as np
import torch
from torch import Tensor

from wheretolook.cams.manifest import EVERY_CLASS_UP_TO
from wheretolook.cams.parts import ChooseRows
from wheretolook.data.refusal import Refusal

PREDICTED = "predicted"


def choose_classes(
    class_count: int,
    count: int,
    classes: Sequence[str | int] | None,
    class_names: tuple[str, ...],
    targets: Sequence[int] | np.ndarray | Tensor | str | None,
) -> ChooseRows:
    """How the classes to explain follow from what was asked for.

    Args:
        class_count: logits of an image.
        count: N, images there are.
        classes: the same for each image, names or indices; None: every class up to ten, beyond that the predicted.
        class_names: of the logits, in their order; may be empty.
        targets: instead of `classes`, class indices of each image, (N,) or (N, K); or "predicted".

    Raises:
        Refusal: an unknown class (the message lists those that exist), a wrong number of targets, or both given.
    """
    if classes is not None and targets is not None:
        raise Refusal("classes and targets: expected one of them, found both")
    if isinstance(targets, str) and targets != PREDICTED:
        raise Refusal(f'targets: expected class indices or "{PREDICTED}", found "{targets}"')
    if targets is not None and not isinstance(targets, str):
        return _of_targets(_checked_targets(targets, count, class_count))
    if class_names and len(class_names) != class_count:
        raise Refusal(f"class_names: expected one for each of {class_count} logits, found {len(class_names)}")
    if classes is not None and (isinstance(classes, str) or not hasattr(classes, "__len__")):
        raise Refusal(f"classes: expected a list of names or indices, found {classes!r}")
    if classes is not None and len(classes) == 0:
        raise Refusal("classes: expected at least one, found none")
    if classes is not None:
        return _of_classes([class_index(name, class_names, class_count) for name in classes])
    if targets is None and class_count <= EVERY_CLASS_UP_TO:
        return _of_classes(list(range(class_count)))
    return lambda logits, rows: logits.argmax(1, keepdim=True)


def class_index(name: str | int, class_names: Sequence[str], count: int) -> int:
    """Index of a class given by its name, or by its index.

    Raises:
        Refusal: there is no such class; the message lists those there are.
    """
    if isinstance(name, str) and name in class_names:
        return list(class_names).index(name)
    if not isinstance(name, str | bool):
        with suppress(TypeError):  # of a tensor or numpy number too
            if 0 <= (index := operator.index(name)) < count:
                return index
    known = ", ".join(class_names) if class_names else f"0 to {count - 1} (no class names were given)"
    raise Refusal(f"class {name!r}: expected one of {known}")


def _checked_targets(targets: Sequence[int] | np.ndarray | Tensor, count: int, class_count: int) -> Tensor:
    try:
        given = torch.as_tensor(targets)
    except (TypeError, ValueError, RuntimeError) as error:  # of names, or of rows of different lengths
        raise Refusal(
            f"targets: expected ({count},) or ({count}, K) class indices, one row an image; found {targets!r:.60}"
        ) from error
    found = given[:, None] if given.ndim == 1 else given
    if found.ndim != 2 or len(found) != count or found.is_floating_point() or found.dtype is torch.bool:
        shape = f"{tuple(given.shape)} of {str(found.dtype).removeprefix('torch.')}"
        raise Refusal(f"targets: expected ({count},) or ({count}, K) class indices, one row an image; found {shape}")
    found = found.long()
    if found.numel() == 0 or int(found.min()) < 0 or int(found.max()) >= class_count:
        raise Refusal(f"targets: expected class indices from 0 to {class_count - 1}, found {found.unique().tolist()}")
    return found


def _of_targets(targets: Tensor) -> ChooseRows:
    return lambda logits, rows: targets[rows].to(logits.device)


def _of_classes(indices: list[int]) -> ChooseRows:
    return lambda logits, rows: torch.tensor(indices, device=logits.device).expand(len(logits), -1)
