"""Maps on disk: a folder of memory-mapped `.npy` arrays and the manifest that pins them. No torch."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from wheretolook.cams.bring import bring
from wheretolook.cams.manifest import LOGITS, RANDOM, array_name, read_manifest
from wheretolook.data.hashing import sha256_of
from wheretolook.data.refusal import Refusal
from wheretolook.data.remedy import remedy


@dataclass(frozen=True)
class Maps:
    """The maps of one model, raw and signed, at each layer's own resolution.

    Attributes:
        folder: where the arrays stand.
        manifest: what they are. Columns of maps and logits follow `class_names`, in the order of the prepared data.
    """

    folder: Path
    manifest: dict[str, Any]

    @property
    def names(self) -> list[tuple[str, str]]:
        """Each (method, layer) there is, by method, layers from first to last."""
        layers = self.manifest["layers"]
        arrays = self.manifest["arrays"]
        found = [(a["method"], a["layer"]) for name, a in arrays.items() if name not in (LOGITS, RANDOM)]
        return sorted(found, key=lambda pair: (pair[0], layers.index(pair[1])))

    @property
    def class_names(self) -> tuple[str, ...]:
        """Name of each class; the column of `logits`."""
        return tuple(self.manifest["class_names"])

    def open(self, method: str, layer: str) -> np.memmap:
        """Maps of all images, float32 (N, K, h, w), memory-mapped read-only.

        K runs over `manifest["map_classes"]` (where these are not all classes, a method that is not linear in the class
        has no "mean"), or is 1 where `knows_class` is false; `analysis.target.open_target` is the safe way in.

        Raises:
            Refusal: there are no such maps; the message lists those that exist.
        """
        if (method, layer) not in self.names:
            there = ", ".join(f"{m}.{y}" for m, y in self.names)
            raise Refusal(f"{self.folder}: expected maps {method}.{layer}, found {there}; name one of those")
        return np.load(self.folder / array_name(method, layer), mmap_mode="r")

    def knows_class(self, method: str, layer: str) -> bool:
        """Whether these maps differ between classes; those that do not (K = 1) stay out of tests about classes."""
        return self.manifest["arrays"][array_name(method, layer)]["knows_class"]

    def random(self) -> tuple[np.ndarray, np.ndarray] | None:
        """CAMs of the last layer of networks with random weights, and the rows of the images that they are of.

        Returns:
            float32 (draws, n, h, w), memory-mapped, true class less the mean of the others, and int64 (n,); None where
            none were exported.
        """
        about = self.manifest["arrays"].get(RANDOM)
        if about is None:
            return None
        return np.load(self.folder / RANDOM, mmap_mode="r"), np.array(about["rows"], dtype=np.int64)

    def head_logits(self) -> np.ndarray:
        """Logits of every trained head, float32 (N, H, classes); heads as in `manifest["heads"]`, first to last."""
        return np.load(self.folder / LOGITS)

    def logits(self) -> np.ndarray:
        """Logits of the model, its last head: float32 (N, classes)."""
        return self.head_logits()[:, -1]


def load_maps(folder: Path, manifest: Path | None = None) -> Maps:
    """Open the maps of one model, bringing arrays that are missing from DVC's cache or remote.

    Args:
        folder: `data/cams/NAME`.
        manifest: a copy of the manifest that git tracks (`reports/exports/NAME.json`); default: the folder's own.

    Raises:
        Refusal: arrays that are nowhere, or that are not those which the manifest pins.
    """
    if manifest is None:
        manifest = folder / "manifest.json"
        absent, why = bring([manifest])
        if absent:
            raise Refusal(f"{folder}: expected maps, found no manifest.json{why}; {remedy(folder)}")
    maps = Maps(folder, read_manifest(manifest))
    arrays = maps.manifest["arrays"]
    missing, why = bring([folder / name for name in sorted(arrays)])
    if missing:
        raise Refusal(f"{missing[0]}: expected maps, found no file, here or in DVC's cache{why}; {remedy(folder)}")
    for name in sorted(arrays):
        check_array(folder / name, arrays[name])
    return maps


def check_array(path: Path, pinned: dict[str, Any]) -> None:
    """Refuse an array whose bytes are not those that the manifest pins."""
    found = sha256_of(path)
    if found != pinned["sha256"]:
        again = remedy(path.parent)
        raise Refusal(f"{path}: expected sha256 {pinned['sha256'][:12]}, found {found[:12]}: edited or stale; {again}")
