"""`explain`: maps of images by any network, as numpy arrays."""

import operator
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor, nn

from wheretolook.base.errors import InputError
from wheretolook.cams.batching import ChooseRows, compute_batched
from wheretolook.cams.compute import Batch
from wheretolook.cams.display import page_of_maps, picture_of
from wheretolook.cams.engine import Engine, build_engine
from wheretolook.cams.method_registry import find_method
from wheretolook.mapstore.store import EVERY_CLASS_UP_TO

PREDICTED = "predicted"


@dataclass(frozen=True, eq=False)
class Explanation(Mapping[tuple[str, str], np.ndarray]):
    """Maps of images, as a mapping from (method, layer): `explanation["cam", "block4"]`, `explanation.items()`.

    Attributes:
        maps: (method, layer) to float32 (N, K, h, w): raw, signed, at the layer's own resolution. K is 1 for a
            class-independent method.
        logits: float32 (N, classes).
        class_index: int64 (N, K), the class that each map explains.
        means: with `with_mean`, (method, layer) to float32 (N, h, w): mean of the maps of all classes, for methods that
            are linear in the class.
        locality: layer to a number in 0..1, for networks that are not of this project: the share of the layer's
            response (squared change) to a small image patch that lies within one cell of the patch. 1: each cell
            depends on its own part of the image only; about 9 / cells: positions are mixed.
    """

    maps: dict[tuple[str, str], np.ndarray]
    logits: np.ndarray
    class_index: np.ndarray
    means: dict[tuple[str, str], np.ndarray] = field(default_factory=dict)
    locality: dict[str, float] = field(default_factory=dict)

    def __getitem__(self, pair: tuple[str, str]) -> np.ndarray:
        """Maps of a (method, layer), float32 (N, K, h, w).

        Raises:
            KeyError: unknown pair; the message lists the known ones. `cam` exists only at layers with a trained linear
                head on their pooled feature maps.
        """
        if pair not in self.maps:
            known = ", ".join(map(repr, self.maps))
            raise KeyError(f"expected one of {known}; found {pair!r} (cam needs a layer with a trained linear head)")
        return self.maps[pair]

    def __iter__(self) -> Iterator[tuple[str, str]]:
        """The (method, layer) pairs."""
        return iter(self.maps)

    def __len__(self) -> int:
        """Number of (method, layer) pairs."""
        return len(self.maps)

    def _repr_png_(self) -> bytes:
        """What a notebook shows: the maps of the first images."""
        return picture_of(self.maps, self.class_index)

    def _repr_html_(self) -> str:
        """The same picture, with predictions and shapes."""
        return page_of_maps(self.maps, self.logits, self.class_index)

    # Comparing arrays gives an array, not a bool, so equality is identity.
    __eq__ = object.__eq__
    __hash__ = object.__hash__


def explain(
    network: nn.Module,
    images: Tensor | np.ndarray,
    methods: Sequence[str] | None = None,
    layers: Sequence[str] | None = None,
    classes: Sequence[str | int] | None = None,
    *,
    class_names: Sequence[str] = (),
    targets: Sequence[int] | np.ndarray | Tensor | str | None = None,
    trained_heads: Sequence[str] | None = None,
    batch_size: int = 64,
    precision: str = "float32",
    fast: bool = False,
    with_mean: bool = False,
    grid: tuple[int, int] | None = None,
    prefix_tokens: int | None = None,
    layout: str | None = None,
) -> Explanation:
    """Compute maps of images for several methods, layers and classes, in one forward pass per batch.

        network, card = load_model("models/last-0.safetensors")
        explanation = explain(network, to_input(images, card.mean, card.std), ["cam", "gradcam"])
        explanation["cam", "block4"]  # (N, K, 7, 7)

    Args:
        network: a network of this project, or any `nn.Module` that returns logits (N, classes). Its state is restored
            afterwards; while this runs, no other thread may use it. It is first probed with random images, which costs
            at least two forward passes; to do that once for many calls, use `build_engine` and `explain_with`.
        images: (N, C, H, W) float, normalised as the network expects; C is 3 unless the network takes another number.
        methods: names of CAM methods. `cam` is computed at layers with a linear head on their pooled feature maps.
            None: `cam` at those layers, `gradcam` at the others.
        layers: names. None: all layers of a network of this project; for another module, the last one at each
            resolution. If a layer runs several times in a forward pass, its last output counts.
        classes: indices, or names as in `class_names`; the same for each image. None: every class if there are at most
            ten, otherwise the predicted one.
        class_names: names of the logits, in order.
        targets: instead of `classes`, class indices of each image, (N,) or (N, K), or "predicted".
        trained_heads: layers of a network of this project whose heads are trained, as in its card; None: heads that are
            not all zero.
        batch_size: images per forward pass.
        precision: "float32" or "bfloat16".
        fast: run a copy with folded batch normalisation; worthwhile for many images.
        with_mean: also compute the mean of the maps of all classes, at the cost of one more class.
        grid: (h, w) of the tokens, if it cannot be inferred; used without a check.
        prefix_tokens: number of tokens before the grid (class token, registers), likewise.
        layout: order of the layers' dimensions, likewise: "channels_first" (N, C, h, w), "channels_last" (N, h, w, C),
            "tokens" (N, tokens, C) or "tokens_first" (tokens, N, C).

    Raises:
        InputError: an unknown method, layer or class; a wrong number of targets; images of the wrong shape; NaN; `cam`
            where the logits of these images are not the mean of the map plus a bias (because of a clip, for instance).
    """
    images = check_images(images)
    size, channels = (images.shape[2], images.shape[3]), images.shape[1]
    engine = build_engine(
        network, methods, layers, size, precision, trained_heads, fast, channels, grid, prefix_tokens, layout
    )
    engine = replace(engine, with_mean=with_mean)
    choose = choose_classes(engine.class_count, len(images), classes, tuple(class_names), targets)
    return explain_with(engine, images, choose, batch_size)


def explain_with(engine: Engine, images: Tensor, choose: ChooseRows, batch_size: int) -> Explanation:
    """Compute maps with an existing engine, without probing the network again.

    Args:
        engine: from `build_engine`.
        images: from `check_images`, of the size that the engine was built for.
        choose: from `choose_classes`.
        batch_size: images per forward pass.

    Raises:
        InputError: a map or the logits contain NaN or infinity.
    """
    if not isinstance(batch_size, int) or batch_size < 1:
        raise InputError("batch_size", expected="an integer of at least 1", found=f"{batch_size!r}")
    batches: list[Batch] = []
    for start in range(0, len(images), batch_size):
        rows = slice(start, min(start + batch_size, len(images)))
        batches += [batch.to("cpu") for _, batch in compute_batched(engine, images[rows], rows, choose)]
    maps = {pair: _concatenate([batch.maps[pair] for batch in batches]) for pair in batches[0].maps}
    means = {pair: maps[pair][:, -1] for pair in maps if engine.with_mean and find_method(pair[0]).linear}
    return Explanation(
        {pair: values[:, :-1] if pair in means else values for pair, values in maps.items()},
        _concatenate([batch.logits for batch in batches]),
        _concatenate([batch.class_index for batch in batches]),
        means,
        {layer.name: layer.locality for layer in engine.layers if layer.locality is not None},
    )


def check_images(images: Tensor | np.ndarray) -> Tensor:
    """Convert images to a tensor (N, C, H, W).

    Raises:
        InputError: wrong shape, no image, or integers.
    """
    if isinstance(images, np.ndarray):
        # PyTorch supports neither negative strides (flipped images) nor foreign byte order (some file formats).
        images = np.ascontiguousarray(images, images.dtype.newbyteorder("="))
    elif isinstance(images, Sequence) and all(isinstance(image, Tensor) for image in images):
        images = torch.stack(tuple(images)) if images else torch.empty(0)
    images = torch.as_tensor(images)
    channels_last = images.ndim == 4 and images.shape[3] == 3 != images.shape[1]
    if images.ndim != 4 or channels_last or images.numel() == 0 or not images.is_floating_point():
        raise InputError(
            "images",
            expected="a float array (N, C, H, W), normalised, with at least one image",
            found=f"{tuple(images.shape)} of {str(images.dtype).removeprefix('torch.')}",
            hint="wheretolook.to_input converts (N, H, W, 3) uint8",
        )
    return images


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
        return _fixed_classes([class_index(name, class_names, class_count) for name in classes])
    if targets is None and class_count <= EVERY_CLASS_UP_TO:
        return _fixed_classes(list(range(class_count)))
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


def _fixed_classes(indices: list[int]) -> ChooseRows:
    return lambda logits, rows: torch.tensor(indices, device=logits.device).expand(len(logits), -1)


def _concatenate(tensors: list[Tensor]) -> np.ndarray:
    return torch.cat(tensors).numpy()
