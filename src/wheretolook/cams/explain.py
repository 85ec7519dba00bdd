"""`explain`: maps of images by any network, as numpy arrays; a notebook shows them as pictures."""

import base64
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from html import escape

import numpy as np
import torch
from torch import Tensor, nn

from wheretolook.base.errors import InputError
from wheretolook.cams.batching import (
    ChooseRows,
    choose_classes,
    compute_batched,
    targets_of_differences,
    targets_of_function,
)
from wheretolook.cams.compute import Batch
from wheretolook.cams.engine import Engine, build_engine
from wheretolook.cams.methods import find_method
from wheretolook.cams.methods.gradients import finer_cam_of_chosen


@dataclass(frozen=True, eq=False)
class Explanation(Mapping[tuple[str, str], np.ndarray]):
    """Maps of images, as a mapping from (method, layer): `explanation["cam", "block4"]`, `explanation.items()`.

    Attributes:
        maps: (method, layer) to float32 (N, K, h, w): raw, signed, at the layer's own resolution. K is 1 for a
            class-independent method.
        logits: float32 (N, classes).
        class_index: int64 (N, K), the class that each map explains; for the t-th difference of logits, or value of a
            function, the number of classes + t.
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
    classes: Sequence[str | int | tuple[str | int, str | int]] | None = None,
    *,
    class_names: Sequence[str] = (),
    targets: Sequence[int] | np.ndarray | Tensor | str | Callable[[Tensor], Tensor] | None = None,
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
        classes: indices, or names as in `class_names`; the same for each image. A pair such as ("cat", "dog") is the
            difference of two logits, cat minus dog. None: every class if there are at most ten, otherwise the predicted
            one. The one output of a regression, or of a sigmoid, is class 0.
        class_names: names of the logits, in order.
        targets: instead of `classes`, class indices of each image, (N,) or (N, K), or "predicted". Or a function from
            logits (n, classes) to the values to explain, (n,) or (n, T): `lambda logits: logits[:, :3].logsumexp(1)`.
            `cam` is not available for a function.
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
    if callable(targets) and methods is None:
        methods = ["gradcam"]
    engine = build_engine(
        network, methods, layers, size, precision, trained_heads, fast, channels, grid, prefix_tokens, layout
    )
    if callable(targets):
        if classes is not None:
            raise InputError("classes, targets", expected="at most one of them", found="both", hint="leave one out")
        engine, choose = targets_of_function(engine, targets)
    elif isinstance(classes, list | tuple) and any(isinstance(each, tuple) for each in classes):
        engine, choose = targets_of_differences(engine, classes, tuple(class_names), targets)
    else:
        choose = choose_classes(engine.class_count, len(images), classes, tuple(class_names), targets)  # type: ignore[arg-type]
    if with_mean and engine.targets is not None:
        raise InputError("with_mean", "classes", "a difference of logits or a function", "leave with_mean out")
    return explain_with(replace(engine, with_mean=with_mean), images, choose, batch_size)


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


def _concatenate(tensors: list[Tensor]) -> np.ndarray:
    return torch.cat(tensors).numpy()


ROWS, COLUMNS = 6, 8  # images and maps that are drawn
SIDE = 1.15  # inches of a map


def picture_of(maps: Mapping[tuple[str, str], np.ndarray], class_index: np.ndarray) -> bytes:
    """The maps of the first images as PNG: red above zero, blue below, full colour at each map's largest |value|.

    Args:
        maps: (method, layer) to (N, K, h, w).
        class_index: (N, K), the class of each map.
    """
    from matplotlib import colormaps
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    shown = [(pair, k) for pair, values in maps.items() for k in range(values.shape[1])][:COLUMNS]
    rows = min(len(class_index), ROWS)
    figure = Figure(figsize=(SIDE * len(shown), (SIDE + 0.35) * rows), dpi=96, layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(rows, len(shown), squeeze=False)
    for i, line in enumerate(panels):
        for axes, ((method, layer), k) in zip(line, shown, strict=True):
            values = maps[method, layer][i, k]
            limit = float(np.abs(values).max()) or 1.0
            axes.imshow(values, cmap=colormaps["RdBu_r"], vmin=-limit, vmax=limit, interpolation="nearest")
            axes.set(xticks=[], yticks=[])
            whose = f"class {class_index[i, k]}" if find_method(method).knows_class else "any class"
            axes.set_title(f"{method} {layer}\n{whose}", fontsize=6, parse_math=False)
        line[0].set_ylabel(f"image {i}", fontsize=6)
    written = io.BytesIO()
    figure.savefig(written, format="png", metadata={"Software": None})
    return written.getvalue()


def page_of_maps(maps: Mapping[tuple[str, str], np.ndarray], logits: np.ndarray, class_index: np.ndarray) -> str:
    """HTML with the picture, what it leaves out, and the predicted class and logits of each image drawn."""
    count = sum(values.shape[1] for values in maps.values())
    drawn, columns = min(len(logits), ROWS), min(count, COLUMNS)
    shapes = "; ".join(f"{method} at {layer}: {values.shape}" for (method, layer), values in maps.items())
    left_out = ""
    if (drawn, columns) != (len(logits), count):
        left_out = f"Drawn: {drawn} of {len(logits)} images, {columns} of {count} maps of each. "
    rows = "".join(
        f"<tr><th>image {i}</th><td>class {row.argmax()}</td><td>{row.max():.2f}</td></tr>"
        for i, row in enumerate(logits[:drawn])
    )
    image = base64.b64encode(picture_of(maps, class_index)).decode("ascii")
    return (
        f'<div><img alt="Maps of {drawn} images, red above zero and blue below" src="data:image/png;base64,{image}">'
        f"<p>{escape(left_out)}Red: above zero, blue: below; full colour at each map's largest |value|. "
        f"{escape(shapes)}.</p><table><thead><tr><th></th><th>predicted</th><th>logit</th></tr></thead>"
        f"<tbody>{rows}</tbody></table></div>"
    )


def finer_cams(explanation: Explanation) -> Explanation:
    """Finer-CAMs instead of the maps of the classes that `with_references` chose."""
    index, logits = explanation.class_index, explanation.logits
    maps = {pair: finer_cam_of_chosen(own, index, logits) for pair, own in explanation.items()}
    first = index.shape[1] // next(iter(maps.values())).shape[1]
    return replace(explanation, maps=maps, class_index=index[:, ::first])
