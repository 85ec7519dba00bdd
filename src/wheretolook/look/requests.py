"""Which maps `wheretolook look` computes, its table of predictions, and its manifest."""

import csv
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn
from tqdm import tqdm

from wheretolook.base.errors import InputError, readable
from wheretolook.base.files import replacing
from wheretolook.cams.engine import Engine, build_engine
from wheretolook.cams.methods import METHODS, find_method
from wheretolook.networks.card import Card
from wheretolook.networks.layers.layout import Hints, make_hints
from wheretolook.networks.module_network import ModuleNetwork

BATCH = 64  # images in memory at a time


@dataclass(frozen=True)
class MapRequest:
    """The maps to compute.

    Attributes:
        methods: names; empty: cam, or gradcam at layers without a linear head.
        layers: names, or "all"; empty: the last layer.
        classes: names, or "all"; empty: the predicted class of each image.
        contrast: subtract the mean of the other classes' maps; needs methods that are linear in the class.
        finer_cam: subtract the maps of the most similar classes (Finer-CAM); likewise.
        label: of a model of several labels, whose absence and presence are the classes; empty: as in the model file.
        grid: (h, w) of the layers' tokens, or text such as "14x14"; None: as in the model file.
        prefix_tokens: number of tokens before the grid; None: as in the model file.
        layout: order of the dimensions of the layers' outputs, one of `Order`; None: as in the model file.
        accept_code: load a network whose code has changed since.
        box: share of a map's maximum at which its box is drawn and listed; None: no box.
    """

    methods: Sequence[str] = ()
    layers: Sequence[str] = ()
    classes: Sequence[str] = ()
    contrast: bool = False
    finer_cam: bool = False
    label: str = ""
    grid: str | tuple[int, int] | None = None
    prefix_tokens: int | None = None
    layout: str | None = None
    accept_code: bool = False
    box: float | None = None

    def class_names(self, card: Card) -> tuple[str, ...]:
        """The classes, each once; empty for the predicted one."""
        return card.class_names if "all" in self.classes else tuple(dict.fromkeys(self.classes))

    @property
    def target(self) -> str:
        """What is subtracted from a class's map, for file names: "contrast", "finer", or nothing."""
        return "contrast" if self.contrast else "finer" if self.finer_cam else ""

    def check(self) -> None:
        """Check that all methods support a contrast, if one is requested.

        Raises:
            InputError: a method is not linear in the class, or both contrasts.
        """
        option = "--finer-cam" if self.finer_cam else "--contrast"
        if self.contrast and self.finer_cam:
            raise InputError(option, "no --contrast", "both options", "leave one of them out")
        for method in self.methods:
            if self.target and not find_method(method).linear:
                linear = ", ".join(name for name in METHODS if METHODS[name].linear)
                raise InputError(
                    option,
                    expected=f"methods that are linear in the class ({linear})",
                    found=method,
                    hint=f"leave {option} out, or choose another method",
                )


def build(network: nn.Module, card: Card, request: MapRequest, fast: bool = False) -> Engine:
    """Build the engine for a request; writes a line to stderr for each method that some layers do not support.

    Raises:
        InputError: an unknown method or layer.
    """
    layers = None if "all" in request.layers else tuple(request.layers) or card.layers[-1:]
    size = (card.input_size, card.input_size)
    hints = make_hints(request.grid, request.prefix_tokens, request.layout)
    if hints.given:
        engine = _read_again(network, request.methods or None, layers, size, hints, fast)
    else:
        engine = build_engine(
            network, request.methods or None, layers, size, trained_heads=card.trained_heads, fast=fast
        )
    _report_unsupported(engine, request.methods)
    return replace(engine, with_mean=request.contrast)


def _read_again(
    network: nn.Module,
    methods: Sequence[str] | None,
    layers: Sequence[str] | None,
    size: tuple[int, int],
    hints: Hints,
    fast: bool,
) -> Engine:
    """The engine of a wrapped network whose layers are read as the hints say, not as its card does.

    Raises:
        InputError: a network whose layers are defined by the project, or an output that the hints do not fit.
    """
    if not isinstance(network, ModuleNetwork):
        raise InputError(
            "--grid, --prefix-tokens, --layout",
            expected="a model whose layers were detected (timm, transformers, your own code)",
            found="a network with predefined layers",
            hint="leave these options out",
        )
    names = {spec.layer: spec.module for spec in network.specs}
    for name in layers or ():
        if name not in names:
            raise InputError(f'layer "{name}"', expected=f"one of {', '.join(names)}")
    modules = {names[name]: name for name in layers or names}
    engine = build_engine(
        network.body,
        methods,
        list(modules),
        size,
        fast=fast,
        grid=hints.grid,
        prefix_tokens=hints.prefix_tokens,
        layout=hints.layout,
    )
    renamed = {layer.name: replace(layer, name=modules[layer.name]) for layer in engine.layers}
    pairs = tuple((method, renamed[layer.name]) for method, layer in engine.pairs)
    return replace(engine, layers=tuple(renamed.values()), pairs=pairs)


def no_images(files: int) -> InputError:
    """The error if no file could be read as an image."""
    return InputError("images", expected="at least one image", found=f"none in {files} files", hint="check the files")


def choose_fit(card: Card, given: str | None) -> str:
    """How to make images square: as given, else as in the model's training, else "stretch".

    Writes a line to stderr if `given` differs from the training.

    Args:
        card: of the model.
        given: "stretch", "pad" or "crop"; None: the model's own.
    """
    if given and card.fit and given != card.fit:
        _report(f"--fit {given} differs from the model's training, which used {card.fit}; leave --fit out to use that")
    return given or card.fit or "stretch"


def _report_unsupported(engine: Engine, methods: Sequence[str]) -> None:
    """Write a line to stderr for each requested method that some layers do not support."""
    for method in dict.fromkeys(methods):
        supported = {layer.name for other, layer in engine.pairs if other.name == method}
        if skipped := [layer.name for layer in engine.layers if layer.name not in supported]:
            reason = "no trained linear head on the layer's pooled feature maps"
            _report(f"{method}: skipped {', '.join(skipped)} ({reason}); gradcam, for example, works at every layer")


def _report(line: str) -> None:
    tqdm.write(line, file=sys.stderr)


MAX_COLUMNS = 6  # classes


def predictions_table(names: Sequence[str], class_names: Sequence[str], scores: np.ndarray) -> str:
    """Text table with one line per image: name, predicted class and scores.

    Args:
        names: of the images.
        class_names: in the order of the scores' columns. With more than six, only the top three are shown.
        scores: (N, classes) float, after softmax.
    """
    predicted = [class_names[i] for i in scores.argmax(1)]
    if len(class_names) <= MAX_COLUMNS:
        rows = [["image", "predicted", *class_names]]
        rows += [[n, p, *(f"{s:.3f}" for s in row)] for n, p, row in zip(names, predicted, scores, strict=True)]
    else:
        rows = [["image", "predicted", "score", "second", "score", "third", "score"]]
        for name, row in zip(names, scores, strict=True):
            best = np.argsort(-row, kind="stable")[:3]
            rows.append([name, *(text for i in best for text in (class_names[i], f"{row[i]:.3f}"))])
    return "\n".join(_aligned(rows))


def write_predictions(
    path: Path, names: Sequence[str], files: Sequence[Path], class_names: Sequence[str], scores: np.ndarray
) -> None:
    """Write a CSV file atomically: image, path, predicted class, and the score of each class to six digits.

    Args:
        path: the CSV file.
        names: of the images.
        files: of the images.
        class_names: in the order of the scores' columns.
        scores: (N, classes) float, after softmax.
    """
    with replacing(path) as scratch, scratch.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["image", "path", "predicted", *class_names])
        for name, file_path, row in zip(names, files, scores, strict=True):
            writer.writerow(
                [name, readable(str(file_path)), class_names[row.argmax()], *(f"{score:.6f}" for score in row)]
            )


def _aligned(rows: list[list[str]]) -> list[str]:
    """Align the columns; numbers to the right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    numbers = [i for i in range(len(widths)) if len(rows) > 1 and rows[1][i].replace(".", "").isdigit() and i > 1]
    lines = []
    for row in rows:
        cells = [c.rjust(w) if i in numbers else c.ljust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True))]
        lines.append("  ".join(cells).rstrip())
    return lines


@dataclass(frozen=True)
class LookResult:
    """Predictions and counts of one run.

    Attributes:
        names: unique names of the N images that were read.
        paths: of the same images.
        class_names: in the order of the scores' columns.
        scores: (N, classes), softmax of the logits.
        pictures: number of pictures; 0 if arrays were written instead.
        sizes: width and height of the images; empty if arrays were written.
        maps: what the manifest lists of each image's maps; likewise.
        refused: number of files that could not be read as images.
    """

    names: tuple[str, ...]
    paths: tuple[Path, ...]
    class_names: tuple[str, ...]
    scores: np.ndarray
    pictures: int
    refused: int
    sizes: tuple[tuple[int, int], ...] = ()
    maps: tuple[Sequence[dict[str, Any]], ...] = ()


LOOK_MANIFEST = "manifest.json"
KIND = "wheretolook look"  # of a manifest, so that no other file of that name is replaced


def check_manifest(folder: Path) -> None:
    """Check that a folder has no manifest of another program, before any map is computed.

    Raises:
        InputError: it has.
    """
    path = folder / LOOK_MANIFEST
    if not path.is_file():
        return
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        found = None
    if not isinstance(found, dict) or found.get("kind") != KIND:
        raise InputError(path, expected=f"a manifest of {KIND}", found="another file", hint="choose another --out")


def manifest_of(model: dict[str, Any], seen: LookResult, request: MapRequest, fit: str | None) -> dict[str, Any]:
    """What `--json` prints and manifest.json holds: model, options, and each image with its scores and maps.

    `model` has its name and SHA-256; `fit` is as given.
    """
    images = [
        {
            "image": name,
            "path": readable(str(path)),
            "predicted": seen.class_names[int(scores.argmax())],
            "scores": [round(float(score), 6) for score in scores],
        }
        for name, path, scores in zip(seen.names, seen.paths, seen.scores, strict=True)
    ]
    for image, size, maps in zip(images, seen.sizes, seen.maps, strict=False):
        image |= {"size": list(size), "maps": list(maps)}
    options = {"contrast": request.contrast, "finer_cam": request.finer_cam, "box": request.box, "fit": fit}
    about = {"kind": KIND, "format": 1, "model": model, "class_names": list(seen.class_names), **options}
    return {**about, "images": images, "skipped": seen.refused}
