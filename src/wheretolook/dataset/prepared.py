"""How a rectangle is fitted into a square, the same for an image and its mask."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from wheretolook.base.errors import InputError
from wheretolook.base.files import sha256_of

if TYPE_CHECKING:
    import pandas as pd


FITS = ("stretch", "pad", "crop")


@dataclass(frozen=True)
class Placement:
    """What is cut from a source, and where its resized copy stands in the square."""

    box: tuple[float, float, float, float]  # left, upper, right, lower in pixels of the source
    size: tuple[int, int]  # width and height that the box is resized to
    rows: slice  # of the square
    columns: slice


def place(width: int, height: int, size: int, fit: str) -> Placement:
    """Fit a source of `width` × `height` pixels into a square of `size` × `size`.

    Args:
        width, height: of the source, pixels.
        size: of the square, pixels.
        fit: "stretch", "pad" or "crop".

    Raises:
        ValueError: another `fit`.
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
TEST = SPLITS[-1]  # of its images nothing was trained or chosen
COLUMNS = ("image_id", "class_name", "class_index", "split", "group", "width", "height", "sha256")
REMEDY = 'run "dvc repro -sf prepare"'


@dataclass(frozen=True)
class Prepared:
    """What `prepare` wrote.

    Attributes:
        images: (N, S, S, 3) uint8 RGB, memory-mapped, read-only.
        masks: (N, S, S) uint8 labels (`wheretolook.dataset.prepared`), memory-mapped, read-only; None without any.
        index: N rows with COLUMNS; row i describes image i.
        class_names: in the order of class_index.
        sha256: of what a model is trained on and maps are made from: images and index, not masks.
        masks_sha256: of masks.npy; None without any.
        fit: how an image became a square, one of FITS; None where the audit does not say.
        copies: rows of images that show the same picture, a tuple for each picture, as far as the audit names them.
    """

    images: np.ndarray
    masks: np.ndarray | None
    index: "pd.DataFrame"
    class_names: tuple[str, ...]
    sha256: str
    masks_sha256: str | None = None
    fit: str | None = None
    copies: tuple[tuple[int, ...], ...] = ()

    @property
    def labels(self) -> np.ndarray:
        """(N,) int64, the class index of each image."""
        return self.index["class_index"].to_numpy(dtype=np.int64)

    def rows(self, split: str) -> np.ndarray:
        """(M,) int64, the rows of a split (one of SPLITS), ascending."""
        return np.flatnonzero(self.index["split"].to_numpy() == split)


def load_prepared(folder: Path) -> Prepared:
    """Load prepared data; no pixel is read yet.

    Args:
        folder: what `prepare` wrote.

    Raises:
        InputError: a file is missing, is of another form, or does not fit the others.
    """
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
    return Prepared(images, masks, index, class_names, sha256, hashes.get("masks.npy"), fit, copies)


def _read_audit(path: Path) -> dict:
    """The audit, as far as loading needs it."""
    if not path.is_file():
        raise InputError(path, expected="the prepared data", found="none", hint=REMEDY)
    try:
        audit = json.loads(path.read_text(encoding="utf-8"))
        known = audit.get("prepared", {}).get("fit") in (None, *FITS)
        if known and {"images.npy", "index.csv"} <= audit["sha256"].keys() and audit["class_names"]:
            return audit
    except (ValueError, KeyError, TypeError, AttributeError):
        pass
    raise InputError(
        path, expected="the audit of prepared data, with class_names and sha256", found="something else", hint=REMEDY
    )


def _open(path: Path, dimensions: int) -> np.ndarray:
    """Memory-map a uint8 array."""
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise InputError(path, expected="an array", found="none", hint=REMEDY) from None
    except (ValueError, EOFError, OSError) as error:
        raise InputError(
            path, expected="a whole .npy array", found=f"another or cut file ({error})", hint=REMEDY
        ) from error
    if array.dtype != np.uint8 or array.ndim != dimensions:
        raise InputError(
            path, expected=f"uint8 of {dimensions} dimensions", found=f"{array.dtype} {array.shape}", hint=REMEDY
        )
    return array


def _check_shape(path: Path, found: tuple[int, ...], expected: tuple[int, ...]) -> None:
    """The rows of the index, and square images."""
    if found != expected:
        raise InputError(path, expected=f"the shape {expected}, as index.csv has rows", found=found, hint=REMEDY)


def _read_index(path: Path, sha256: str) -> "pd.DataFrame":
    """The index, with the bytes that `prepare` wrote."""
    import pandas as pd

    if not path.is_file():
        raise InputError(path, expected="the index", found="none", hint=REMEDY)
    if sha256_of(path) != sha256:
        raise InputError(
            path, expected=f"the bytes that prepare wrote (SHA-256 {sha256[:12]}…)", hint=f"it was changed; {REMEDY}"
        )
    # A class or group may be called "NA" or "001": text stays text.
    text = dict.fromkeys(("image_id", "class_name", "split", "group", "sha256"), str)
    return pd.read_csv(path, dtype=text, keep_default_na=False, na_filter=False)
