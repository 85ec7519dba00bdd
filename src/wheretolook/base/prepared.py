"""Prepared data: images, masks and index as `prepare` writes them, mask labels, and how an image becomes a square."""

import csv
import hashlib
import json
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from wheretolook.base.errors import InputError
from wheretolook.base.files import sha256_of

if TYPE_CHECKING:
    import pandas as pd


FITS = ("stretch", "pad", "crop")


@dataclass(frozen=True)
class Placement:
    """The part of a source image that is used, and where its resized copy lies in the square."""

    box: tuple[float, float, float, float]  # left, upper, right, lower in pixels of the source
    size: tuple[int, int]  # width and height of the resized box, pixels
    rows: slice  # of the square
    columns: slice


def place(width: int, height: int, size: int, fit: str) -> Placement:
    """Fit a source of `width` × `height` pixels into a square of `size` × `size`; the same for an image and its mask.

    Args:
        width, height: of the source, pixels.
        size: side of the square, pixels.
        fit: "stretch", "pad" or "crop".

    Raises:
        ValueError: unknown `fit`.
    """
    whole = slice(0, size)
    if fit == "stretch":
        return Placement((0, 0, width, height), (size, size), whole, whole)
    if fit == "crop":
        side = min(width, height)
        left, upper = (width - side) / 2, (height - side) / 2
        return Placement((left, upper, left + side, upper + side), (size, size), whole, whole)
    if fit == "pad":
        longest = max(width, height)
        wide, high = max(1, round(width * size / longest)), max(1, round(height * size / longest))
        left, upper = (size - wide) // 2, (size - high) // 2
        return Placement((0, 0, width, height), (wide, high), slice(upper, upper + high), slice(left, left + wide))
    raise ValueError(f"fit {fit!r}; expected one of {FITS}")


BACKGROUND = 0
FOREGROUND = 1
EVIDENCE = 2
MARK = 3
UNKNOWN = 255

LABELS = {
    "background": BACKGROUND,
    "foreground": FOREGROUND,
    "evidence": EVIDENCE,
    "mark": MARK,
    "unknown": UNKNOWN,
}


SPLITS = ("train", "val", "test")
TEST = SPLITS[-1]  # held out: used neither for training nor for model selection
COLUMNS = ("image_id", "class_name", "class_index", "split", "group", "width", "height", "sha256")
# Further columns of data with a table of labels: text; labels of their own (1, 0, or empty where unknown); a number.
ATTRIBUTE, LABEL, VALUE = "attribute:", "label:", "value:"
REPRO_PREPARE = 'run "dvc repro -sf prepare"'


@dataclass(frozen=True)
class ValueSplit:
    """A numeric column of the table of labels, and the value that divides the images into two classes.

    Attributes:
        name: of the column.
        threshold: values up to it are one class, values above it the other.
    """

    name: str
    threshold: float

    @property
    def class_names(self) -> tuple[str, str]:
        """The class of low values, and that of high values."""
        return f"{self.name} up to {self.threshold:g}", f"{self.name} above {self.threshold:g}"


def class_names_of(outputs: Mapping[str, Any] | None, class_names: tuple[str, ...]) -> tuple[str, ...]:
    """Names of the two classes that a network with other outputs than classes has; `class_names` where it has none.

    Args:
        outputs: `Card.outputs`.
        class_names: of the data.

    Returns:
        The names in the order of the logits -z/2 and z/2.
    """
    if outputs is None:
        return class_names
    if outputs["kind"] == "labels":
        return f"no {outputs['shown']}", outputs["shown"]
    return ValueSplit(outputs["name"], outputs["threshold"]).class_names


@dataclass(frozen=True)
class Prepared:
    """Prepared data, as `prepare` writes it.

    Attributes:
        images: (N, S, S, 3) uint8 RGB, memory-mapped, read-only.
        masks: (N, S, S) uint8, values of LABELS, memory-mapped, read-only; None without masks.
        index: N rows with COLUMNS, and with `attribute:NAME`, `label:NAME` and `value:NAME` (text) for data with a
            table of labels; row i describes image i.
        class_names: in the order of class_index.
        sha256: of images and index, without masks: the data that models are trained on and maps are computed from.
        masks_sha256: of masks.npy; None without masks.
        fit: how images were made square, one of FITS; None if the audit does not record it.
        copies: groups of rows that show the same picture, from the audit; empty if it records none.
        value: the column that `fetch.value_column` names; None without it.
    """

    images: np.ndarray
    masks: np.ndarray | None
    index: "pd.DataFrame"
    class_names: tuple[str, ...]
    sha256: str
    masks_sha256: str | None = None
    fit: str | None = None
    copies: tuple[tuple[int, ...], ...] = ()
    value: ValueSplit | None = None

    @property
    def labels(self) -> np.ndarray:
        """Class index of each image: (N,) int64."""
        return self.index["class_index"].to_numpy(dtype=np.int64)

    def rows(self, split: str) -> np.ndarray:
        """Rows of a split (one of SPLITS), ascending: (M,) int64."""
        return np.flatnonzero(self.index["split"].to_numpy() == split)

    @property
    def label_names(self) -> tuple[str, ...]:
        """The labels of their own (`fetch.multi_labels`), in the order of the index's columns."""
        return tuple(name.removeprefix(LABEL) for name in self.index.columns if name.startswith(LABEL))

    def label_table(self) -> np.ndarray:
        """Whether each image has each of `label_names`: (N, L) float32, 1 or 0; NaN where it is not known."""
        columns = [self.index[LABEL + name] for name in self.label_names]
        return np.array([[{"1": 1, "0": 0}.get(cell, np.nan) for cell in column] for column in columns], np.float32).T

    def values(self) -> np.ndarray:
        """The number of each image in the column of `value`: (N,) float64."""
        assert self.value is not None
        return self.index[VALUE + self.value.name].to_numpy().astype(np.float64)


def load_prepared(folder: str | Path) -> Prepared:
    """Load prepared data; pixels are memory-mapped and read on access.

    Args:
        folder: output of `prepare`, such as data/prepared.

    Raises:
        InputError: a file is missing or damaged, or does not match the others.
    """
    folder = Path(folder)
    audit = _read_audit(folder / "audit.json")
    hashes = audit["sha256"]
    images = _open(folder / "images.npy", 4)
    masks = _open(folder / "masks.npy", 3) if "masks.npy" in hashes else None
    index = _read_index(folder / "index.csv", hashes["index.csv"])
    _check_shape(folder / "images.npy", images.shape, (len(index), *images.shape[1:2] * 2, 3))
    if masks is not None:
        _check_shape(folder / "masks.npy", masks.shape, images.shape[:3])
    sha256 = hashlib.sha256(f"{hashes['images.npy']} {hashes['index.csv']}".encode()).hexdigest()
    class_names, fit = tuple(audit["class_names"]), audit.get("prepared", {}).get("fit")
    copies = tuple(tuple(map(int, unit)) for unit in audit.get("near_copies", {}).get("units", ()))
    value = audit.get("label_table", {}).get("value")
    split = ValueSplit(value["column"], float(value["threshold"])) if value else None
    return Prepared(images, masks, index, class_names, sha256, hashes.get("masks.npy"), fit, copies, split)


def _read_audit(path: Path) -> dict:
    """The audit, checked for the keys that loading needs."""
    if not path.is_file():
        raise InputError(path, expected="the audit of the prepared data", found="no such file", hint=REPRO_PREPARE)
    try:
        audit = json.loads(path.read_text(encoding="utf-8"))
        known = audit.get("prepared", {}).get("fit") in (None, *FITS)
        if known and {"images.npy", "index.csv"} <= audit["sha256"].keys() and audit["class_names"]:
            return audit
    except (ValueError, KeyError, TypeError, AttributeError):
        pass
    raise InputError(
        path, "an audit of prepared data, with class_names and sha256", "missing or invalid keys", REPRO_PREPARE
    )


def _open(path: Path, dimensions: int) -> np.ndarray:
    """Memory-map a uint8 array."""
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise InputError(path, "an array", "no such file", REPRO_PREPARE) from None
    except (ValueError, EOFError, OSError) as error:
        raise InputError(
            path, "a complete .npy array", f"a damaged or different file ({error})", REPRO_PREPARE
        ) from error
    if array.dtype != np.uint8 or array.ndim != dimensions:
        found = f"{array.dtype} of shape {array.shape}"
        raise InputError(path, f"uint8 of {dimensions} dimensions", found, REPRO_PREPARE)
    return array


def _check_shape(path: Path, found: tuple[int, ...], expected: tuple[int, ...]) -> None:
    """Check that an array has one square image for each row of the index."""
    if found != expected:
        raise InputError(path, f"shape {expected} (one square for each row of index.csv)", found, REPRO_PREPARE)


def _read_index(path: Path, sha256: str) -> "pd.DataFrame":
    """The index, if its SHA-256 is the one in the audit."""
    import pandas as pd

    if not path.is_file():
        raise InputError(path, "an index", "no such file", REPRO_PREPARE)
    if (found := sha256_of(path)) != sha256:
        raise InputError(path, f"SHA-256 {sha256[:12]}… (audit.json)", f"{found[:12]}…: changed", REPRO_PREPARE)
    # A class or group may be named "NA" or "001": no conversion to missing values or numbers.
    text = dict.fromkeys(("image_id", "class_name", "split", "group", "sha256"), str)
    with path.open(encoding="utf-8", newline="") as file:
        further = next(csv.reader(file))[len(COLUMNS) :]
    text |= dict.fromkeys(further, str)
    return pd.read_csv(path, dtype=text, keep_default_na=False, na_filter=False)


def split_by_value(table: str, name: str, cells: Sequence[str], threshold: float | None = None) -> ValueSplit:
    """Where a column of numbers divides the images into two classes.

    Args:
        table: for messages.
        name: of the column.
        cells: of the column; those without a number do not count.
        threshold: as given; None: the median, or where no value is above it the largest value below.

    Raises:
        InputError: all values are on one side.
    """
    values = sorted(value for cell in cells if (value := read_number(cell)) is not None)
    if threshold is None and values:
        median = statistics.median(values)
        below = [value for value in values if value < median]
        threshold = max(below) if median == values[-1] and below else median
        rounded = float(f"{threshold:.4g}")  # for the names of the classes
        threshold = rounded if values[0] <= rounded < values[-1] else threshold
    if not values or threshold is None or not values[0] <= threshold < values[-1]:
        expected = f"values on both sides of {'a threshold' if threshold is None else f'{threshold:g}'}"
        found = f"values from {values[0]:g} to {values[-1]:g}" if values else "no numbers"
        hint = "set `fetch.value_column` to a column of numbers, and `fetch.value_threshold` to a value between them"
        raise InputError(f"{table}, column {name}", expected, found, hint)
    return ValueSplit(name, threshold)


def read_number(cell: str) -> float | None:
    """The number in a cell; None for another text, NaN or an infinity."""
    try:
        value = float(cell)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
