"""Predictions as a table for the terminal, and as a CSV file."""

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from wheretolook.data.atomic import replacing
from wheretolook.data.readable import readable

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
