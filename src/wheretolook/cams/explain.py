"""Which classes are explained in which image."""

import operator
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor, nn

from wheretolook.base.errors import InputError
from wheretolook.cams.compute import Batch, ChooseRows, compute_in_parts
from wheretolook.cams.engine import Engine, build_engine
from wheretolook.cams.method_registry import find_method
from wheretolook.mapstore.store import EVERY_CLASS_UP_TO

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
        InputError: an unknown class (the message lists those that exist), a wrong number of targets, or both given.
    """
    if classes is not None and targets is not None:
        raise InputError("classes and targets", expected="one of them", found="both")
    if isinstance(targets, str) and targets != PREDICTED:
        raise InputError("targets", expected=f'class indices or "{PREDICTED}"', found=f'"{targets}"')
    if targets is not None and not isinstance(targets, str):
        return _of_targets(_checked_targets(targets, count, class_count))
    if class_names and len(class_names) != class_count:
        raise InputError("class_names", expected=f"one for each of {class_count} logits", found=len(class_names))
    if classes is not None and (isinstance(classes, str) or not hasattr(classes, "__len__")):
        raise InputError("classes", expected="a list of names or indices", found=f"{classes!r}")
    if classes is not None and len(classes) == 0:
        raise InputError("classes", expected="at least one", found="none")
    if classes is not None:
        return _of_classes([class_index(name, class_names, class_count) for name in classes])
    if targets is None and class_count <= EVERY_CLASS_UP_TO:
        return _of_classes(list(range(class_count)))
    return lambda logits, rows: logits.argmax(1, keepdim=True)


def class_index(name: str | int, class_names: Sequence[str], count: int) -> int:
    """Index of a class given by its name, or by its index.

    Raises:
        InputError: there is no such class; the message lists those there are.
    """
    if isinstance(name, str) and name in class_names:
        return list(class_names).index(name)
    if not isinstance(name, str | bool):
        with suppress(TypeError):  # of a tensor or numpy number too
            if 0 <= (index := operator.index(name)) < count:
                return index
    known = ", ".join(class_names) if class_names else f"0 to {count - 1} (no class names were given)"
    raise InputError(f"class {name!r}", expected=f"one of {known}")


def _checked_targets(targets: Sequence[int] | np.ndarray | Tensor, count: int, class_count: int) -> Tensor:
    try:
        given = torch.as_tensor(targets)
    except (TypeError, ValueError, RuntimeError) as error:  # of names, or of rows of different lengths
        raise InputError(
            "targets", expected=f"({count},) or ({count}, K) class indices, one row an image", found=f"{targets!r:.60}"
        ) from error
    found = given[:, None] if given.ndim == 1 else given
    if found.ndim != 2 or len(found) != count or found.is_floating_point() or found.dtype is torch.bool:
        shape = f"{tuple(given.shape)} of {str(found.dtype).removeprefix('torch.')}"
        raise InputError("targets", expected=f"({count},) or ({count}, K) class indices, one row an image", found=shape)
    found = found.long()
    if found.numel() == 0 or int(found.min()) < 0 or int(found.max()) >= class_count:
        raise InputError(
            "targets", expected=f"class indices from 0 to {class_count - 1}", found=found.unique().tolist()
        )
    return found


def _of_targets(targets: Tensor) -> ChooseRows:
    return lambda logits, rows: targets[rows].to(logits.device)


def _of_classes(indices: list[int]) -> ChooseRows:
    return lambda logits, rows: torch.tensor(indices, device=logits.device).expand(len(logits), -1)


@dataclass(frozen=True, eq=False)
class Explanation(Mapping[tuple[str, str], np.ndarray]):
    """Maps of some images, a mapping: `found["cam", "block4"]`, `for (method, layer), maps in found.items()`.

    Attributes:
        maps: (method, layer) to float32 (N, K, h, w): raw, signed, at the layer's own resolution. K is 1 for a method
            that knows no class.
        logits: float32 (N, classes).
        class_index: int64 (N, K): the class that each map of each image explains.
        means: where they were asked for, (method, layer) to float32 (N, h, w): the mean of the maps of all classes, for
            methods that are linear in the class.
        locality: how local each layer's places are, for a network that is not the project's: the share of the layer's
            response to a small patch of the image (its squared change) that lies within one cell of the patch. 1 for
            a layer that sees each place alone; near (9 / cells) where places are mixed.
    """

    maps: dict[tuple[str, str], np.ndarray]
    logits: np.ndarray
    class_index: np.ndarray
    means: dict[tuple[str, str], np.ndarray] = field(default_factory=dict)
    locality: dict[str, float] = field(default_factory=dict)

    def __getitem__(self, pair: tuple[str, str]) -> np.ndarray:
        """Maps of a (method, layer), float32 (N, K, h, w).

        Raises:
            KeyError: there are none of it; the message lists the pairs there are. `cam` is left out at layers without a
                trained pooled linear head, where another layer that was asked for has one.
        """
        if pair not in self.maps:
            there = ", ".join(map(repr, self.maps))
            raise KeyError(f"expected one of {there}; found {pair!r} (cam is of layers with a trained linear head)")
        return self.maps[pair]

    def __iter__(self) -> Iterator[tuple[str, str]]:
        """Each (method, layer) that there are maps of."""
        return iter(self.maps)

    def __len__(self) -> int:
        """How many (method, layer) there are."""
        return len(self.maps)

    # Arrays have no one answer to whether they are equal: an explanation equals itself alone.
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
    """Maps of images, by several methods at several layers for several classes, in one forward pass.

        network, card = load_model(Path("models/last-0.safetensors"), torch.device("cpu"))
        found = explain(network, to_input(images, card.mean, card.std), ["cam", "gradcam"])
        found["cam", "block4"]  # (N, K, 7, 7)

    Args:
        network: a network of the project, or any `nn.Module` that gives logits (N, classes). It is left as found, but
            not while this runs: of two threads, each needs a copy. It is tried first, on noise, which costs two
            forward passes or more: for one batch after another, `build_engine` and `explain_with` do so once.
        images: (N, C, H, W) float, normalised as the network expects; C is 3, but for a network of your own.
        methods: names as in the registry; `cam` is taken of layers with a pooled linear head. None: `cam` of each
            layer where it can be had, `gradcam` of the others.
        layers: names; None: all layers of a network of the project; of another module, the last part at each
            resolution. Of a layer that runs several times in a forward pass, the last time counts.
        classes: the same for each image: indices, or names where `class_names` are given. None: every class up to
            ten; beyond that the predicted one.
        class_names: of the logits, in their order.
        targets: instead of `classes`, class indices of each image, (N,) or (N, K); or "predicted".
        trained_heads: of a network of the project, layers whose heads were trained, as its card says; None: those
            that are not all zero.
        batch_size: images a forward pass.
        precision: "float32" or "bfloat16".
        fast: run a folded copy; worth it for many images.
        with_mean: give the mean of all classes' maps too, at the cost of one class more.
        grid: (h, w) of tokens, where the trial cannot find it; the user's word, not tried.
        prefix_tokens: tokens before the places (a class token, registers), likewise.
        layout: of the layers, likewise: "channels_first" (N, C, h, w), "channels_last" (N, h, w, C), "tokens"
            (N, tokens, C) or "tokens_first" (tokens, N, C).

    Raises:
        InputError: an unknown method, layer or class, a wrong number of targets, images of another shape, NaN; `cam` where
            the network bends the logits of these images, as a clip does that noise does not reach.
    """
    images = check_images(images)
    size, channels = tuple(images.shape[2:]), images.shape[1]
    engine = build_engine(
        network, methods, layers, size, precision, trained_heads, fast, channels, grid, prefix_tokens, layout
    )
    engine = replace(engine, with_mean=with_mean)
    choose = choose_classes(engine.class_count, len(images), classes, tuple(class_names), targets)
    return explain_with(engine, images, choose, batch_size)


def explain_with(engine: Engine, images: Tensor, choose: ChooseRows, batch_size: int) -> Explanation:
    """The same, by an engine that is built already: of one network's images, batch after batch, it is not tried anew.

    Args:
        engine: what to take, and of which network.
        images: as `check_images` gives them, of the size that the engine was built for.
        choose: the classes to explain, as `choose_classes` gives them.
        batch_size: images a forward pass.

    Raises:
        InputError: NaN in a map or in logits.
    """
    if not isinstance(batch_size, int) or batch_size < 1:
        raise InputError("batch_size", expected="a number of images from 1 on", found=f"{batch_size!r}")
    parts: list[Batch] = []
    for start in range(0, len(images), batch_size):
        rows = slice(start, min(start + batch_size, len(images)))
        parts += [batch.to("cpu") for _, batch in compute_in_parts(engine, images[rows], rows, choose)]
    maps = {pair: _joined([part.maps[pair] for part in parts]) for pair in parts[0].maps}
    means = {pair: maps[pair][:, -1] for pair in maps if engine.with_mean and find_method(pair[0]).linear}
    return Explanation(
        {pair: values[:, :-1] if pair in means else values for pair, values in maps.items()},
        _joined([part.logits for part in parts]),
        _joined([part.class_index for part in parts]),
        means,
        {layer.name: layer.locality for layer in engine.layers if layer.locality is not None},
    )


def check_images(images: Tensor | np.ndarray) -> Tensor:
    """The images as a tensor (N, C, H, W).

    Raises:
        InputError: another shape, no image at all, integers.
    """
    if isinstance(images, np.ndarray):
        # Flipped ones have negative steps, and those of some files another order of bytes: PyTorch has neither.
        images = np.ascontiguousarray(images, images.dtype.newbyteorder("="))
    elif isinstance(images, Sequence) and all(isinstance(image, Tensor) for image in images):
        images = torch.stack(tuple(images)) if images else torch.empty(0)
    images = torch.as_tensor(images)
    last = images.ndim == 4 and images.shape[3] == 3 != images.shape[1]
    if images.ndim != 4 or last or images.numel() == 0 or not images.is_floating_point():
        raise InputError(
            "images",
            expected="(N, C, H, W) of floats, normalised, at least one",
            found=f"{tuple(images.shape)} of {str(images.dtype).removeprefix('torch.')}",
            hint="wheretolook.networks.inputs.to_input makes them of (N, H, W, 3) uint8",
        )
    return images


def _joined(parts: list[Tensor]) -> np.ndarray:
    return torch.cat(parts).numpy()
