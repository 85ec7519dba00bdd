"""The prepared data: one array of images, their masks where there are any, and an index."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from wheretolook.data.hashing import sha256_of
from wheretolook.data.refusal import Refusal
from wheretolook.data.square import FITS

if TYPE_CHECKING:
    import pandas as pd

SPLITS = ("train", "val", "test")
TEST = SPLITS[-1]  # of its images nothing was trained or chosen
COLUMNS = ("image_id", "class_name", "class_index", "split", "group", "width", "height", "sha256")
REMEDY = 'run "dvc repro -sf prepare"'


@dataclass(frozen=True)
class Prepared:
    """What `prepare` wrote.

    Attributes:
        images: (N, S, S, 3) uint8 RGB, memory-mapped, read-only.
        masks: (N, S, S) uint8 labels (`wheretolook.data.labels`), memory-mapped, read-only; None without any.
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
        Refusal: a file is missing, is of another form, or does not fit the others.
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
        raise Refusal(f"{path}: expected the prepared data; found none; {REMEDY}")
    try:
        audit = json.loads(path.read_text(encoding="utf-8"))
        known = audit.get("prepared", {}).get("fit") in (None, *FITS)
        if known and {"images.npy", "index.csv"} <= audit["sha256"].keys() and audit["class_names"]:
            return audit
    except (ValueError, KeyError, TypeError, AttributeError):
        pass
    raise Refusal(
        f"{path}: expected the audit of prepared data, with class_names and sha256; found something else; {REMEDY}"
    )


def _open(path: Path, dimensions: int) -> np.ndarray:
    """Memory-map a uint8 array."""
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise Refusal(f"{path}: expected an array; found none; {REMEDY}") from None
    except (ValueError, EOFError, OSError) as error:
        raise Refusal(f"{path}: expected a whole .npy array; found another or cut file ({error}); {REMEDY}") from error
    if array.dtype != np.uint8 or array.ndim != dimensions:
        raise Refusal(f"{path}: expected uint8 of {dimensions} dimensions; found {array.dtype} {array.shape}; {REMEDY}")
    return array


def _check_shape(path: Path, found: tuple[int, ...], expected: tuple[int, ...]) -> None:
    """The rows of the index, and square images."""
    if found != expected:
        raise Refusal(f"{path}: expected the shape {expected}, as index.csv has rows; found {found}; {REMEDY}")


def _read_index(path: Path, sha256: str) -> "pd.DataFrame":
    """The index, with the bytes that `prepare` wrote."""
    import pandas as pd

    if not path.is_file():
        raise Refusal(f"{path}: expected the index; found none; {REMEDY}")
    if sha256_of(path) != sha256:
        raise Refusal(
            f"{path}: expected the bytes that prepare wrote (SHA-256 {sha256[:12]}…); it was changed; {REMEDY}"
        )
    # A class or group may be called "NA" or "001": text stays text.
    text = dict.fromkeys(("image_id", "class_name", "split", "group", "sha256"), str)
    return pd.read_csv(path, dtype=text, keep_default_na=False, na_filter=False)
