"""What is asked of a model, and the engine that takes it."""

import csv
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from torch import nn
from tqdm import tqdm

from wheretolook.base.display import readable
from wheretolook.base.errors import InputError
from wheretolook.base.files import replacing
from wheretolook.cams.engine import Engine, build_engine
from wheretolook.cams.method_registry import METHODS, find_method
from wheretolook.networks.card import Card

# Images in memory at a time.
BATCH = 64


@dataclass(frozen=True)
class MapRequest:
    """What is asked of the model.

    Attributes:
        methods: names; none: cam, or gradcam where a layer has no linear head.
        layers: names, or "all"; none: the last.
        classes: names, or "all"; none: the predicted one of each image.
        contrast: each class's map less the mean of the other classes' maps, by methods that are linear in the class.
    """

    methods: Sequence[str] = ()
    layers: Sequence[str] = ()
    classes: Sequence[str] = ()
    contrast: bool = False

    def class_names(self, card: Card) -> tuple[str, ...]:
        """The classes that were named, each once, by a model's card; none: the predicted one of each image."""
        return card.class_names if "all" in self.classes else tuple(dict.fromkeys(self.classes))

    def check(self) -> None:
        """Refuse a contrast of a method that has none."""
        for method in self.methods:
            if self.contrast and not find_method(method).linear:
                linear = ", ".join(name for name in METHODS if METHODS[name].linear)
                raise InputError(
                    "--contrast", expected=f"methods linear in the class ({linear})", found=method, hint="leave it out"
                )


def build(network: nn.Module, card: Card, wanted: MapRequest, fast: bool = False) -> Engine:
    """The engine that takes what is wanted of a model; a line on stderr where a layer cannot give a method's maps.

    Raises:
        InputError: an unknown method or layer.
    """
    layers = None if "all" in wanted.layers else tuple(wanted.layers) or card.layers[-1:]
    size = (card.input_size, card.input_size)
    engine = build_engine(network, wanted.methods or None, layers, size, trained_heads=card.trained_heads, fast=fast)
    _say_left_out(engine, wanted.methods)
    return replace(engine, with_mean=wanted.contrast)


def settled_fit(card: Card, given: str | None) -> str:
    """How an image becomes a square: as given, else as in the model's training, else stretched.

    A line on stderr says where what is given is not what the model was trained with.

    Args:
        card: of the model.
        given: "stretch", "pad" or "crop"; None: the model's own.
    """
    if given and card.fit and given != card.fit:
        _say(f"--fit {given}: the model was trained on images made square by {card.fit}; leave it out to do the same")
    return given or card.fit or "stretch"


def _say_left_out(engine: Engine, methods: Sequence[str]) -> None:
    """A line on stderr for each method that was asked for by name and could not be had at every layer."""
    for method in dict.fromkeys(methods):
        taken = {layer.name for other, layer in engine.pairs if other.name == method}
        if left_out := [layer.name for layer in engine.layers if layer.name not in taken]:
            why = "no trained linear head on the layer's pooled feature maps"
            _say(f"{method}: left out {', '.join(left_out)} ({why}); gradcam, among others, takes every layer")


def _say(line: str) -> None:
    tqdm.write(line, file=sys.stderr)


MOST_CLASSES = 6


def predictions_table(names: Sequence[str], class_names: Sequence[str], scores: np.ndarray) -> str:
    """A line for each image: its name, the predicted class, and the scores of the classes.

    Args:
        names: of the images.
        class_names: in the order of the scores' columns. Of more than six, an image's first three are shown.
        scores: (N, classes) float, after softmax.
    """
    predicted = [class_names[i] for i in scores.argmax(1)]
    if len(class_names) <= MOST_CLASSES:
        rows = [["image", "predicted", *class_names]]
        rows += [[n, p, *(f"{s:.3f}" for s in row)] for n, p, row in zip(names, predicted, scores, strict=True)]
    else:
        rows = [["image", "predicted", "score", "second", "score", "third", "score"]]
        for name, row in zip(names, scores, strict=True):
            best = np.argsort(-row, kind="stable")[:3]
            rows.append([name, *(text for i in best for text in (class_names[i], f"{row[i]:.3f}"))])
    return "\n".join(_aligned(rows))


def counts_table(class_names: Sequence[str], scores: np.ndarray) -> str:
    """A line for each class that was predicted: its name, and of how many images. The most frequent first.

    Args:
        class_names: in the order of the scores' columns.
        scores: (N, classes) float, N >= 1.
    """
    counts = np.bincount(scores.argmax(1), minlength=len(class_names))
    best = [i for i in np.argsort(-counts, kind="stable") if counts[i]]
    width = max(len(class_names[i]) for i in best)
    return "\n".join(f"{class_names[i]:{width}}  {counts[i]:,} image{'s' if counts[i] > 1 else ''}" for i in best)


def write_predictions(
    path: Path, names: Sequence[str], files: Sequence[Path], class_names: Sequence[str], scores: np.ndarray
) -> None:
    """Write a CSV file, whole or not at all: image, path, predicted, and the score of each class to six digits.

    Args:
        path: its final name.
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
    """Rows with each column as wide as its longest entry; numbers to the right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    numbers = [i for i in range(len(widths)) if len(rows) > 1 and rows[1][i].replace(".", "").isdigit() and i > 1]
    lines = []
    for row in rows:
        cells = [c.rjust(w) if i in numbers else c.ljust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True))]
        lines.append("  ".join(cells).rstrip())
    return lines
