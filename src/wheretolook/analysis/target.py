"""Stored maps read as what is compared: contrasts of each image's true class, or of one named class."""

from dataclasses import dataclass

import numpy as np

from wheretolook.analysis.blocks import row_blocks
from wheretolook.analysis.contrast import contrast
from wheretolook.cams.manifest import array_name
from wheretolook.cams.store import Maps
from wheretolook.data.refusal import Refusal


@dataclass(frozen=True)
class Target:
    """Maps of one method and layer of one model, memory-mapped, with the true class of each image.

    Attributes:
        array: (N, K, h, w) float32, raw maps.
        labels: (N,) int64, true class of each stored image.
        every_class: whether K runs over all classes. Else (more than ten classes) column 0 is the true class, no
            contrast can be made, and the true class's own map is given instead.
        knows_class: whether the method's maps differ by class at all; where not, the one map is given as it is.
    """

    array: np.ndarray
    labels: np.ndarray
    every_class: bool
    knows_class: bool = True

    @property
    def grid(self) -> tuple[int, int]:
        """(h, w) of the maps."""
        return self.array.shape[2], self.array.shape[3]

    def true_class(self, rows: np.ndarray) -> np.ndarray:
        """Contrast maps of each image's true class: (n, h, w) float32 for `rows` (n,)."""
        if not (self.every_class and self.knows_class):
            return checked(np.asarray(self.array[rows, 0]))
        return checked(contrast(np.asarray(self.array[rows]), self.labels[rows]))

    def named_class(self, rows: np.ndarray, class_index: int) -> np.ndarray:
        """Contrast maps of one class for every image: (n, h, w) float32.

        Raises:
            Refusal: only the true and the predicted class are stored.
        """
        if not self.every_class:
            raise Refusal(
                "maps of one class for every image: expected maps of all classes; more than ten are not stored"
            )
        return checked(contrast(np.asarray(self.array[rows]), class_index))

    def rms(self, rows: np.ndarray) -> float:
        """Root mean square of the true-class contrasts over `rows`, all cells: the model's own unit of maps."""
        total = 0.0
        for block in row_blocks(rows, 4 * int(np.prod(self.array.shape[1:]))):
            values = self.true_class(block)
            total += float(np.einsum("nhw,nhw->", values, values, dtype=np.float64))
        return float(np.sqrt(total / (len(rows) * self.array.shape[2] * self.array.shape[3])))


def open_target(maps: Maps, method: str, layer: str, labels: np.ndarray) -> Target:
    """Open one array of maps.

    Raises:
        Refusal: no such maps, or maps of another number of images than there are labels.
    """
    array = maps.open(method, layer)
    if len(array) != len(labels):
        raise Refusal(
            f"{maps.folder}/{method}.{layer}.npy: expected {len(labels)} maps, found {len(array)}; "
            f'run "dvc repro -sf export@{maps.folder.name}"'
        )
    every_class = tuple(maps.manifest["map_classes"]) == maps.class_names
    about = maps.manifest["arrays"][array_name(method, layer)]
    return Target(array, np.asarray(labels, dtype=np.int64), every_class, about.get("knows_class", True))


def open_primary(maps: Maps, labels: np.ndarray) -> tuple[str, str, Target]:
    """The maps that stand for a model: CAMs of its last layer, or else those of the first method that knows classes.

    Returns:
        Method, layer, and the maps.

    Raises:
        Refusal: no method of the last layer knows classes.
    """
    last = maps.manifest["layers"][-1]
    methods = [method for method, layer in maps.names if layer == last]
    methods.sort(key=lambda method: method != "cam")
    for method in methods:
        target = open_target(maps, method, last, labels)
        if target.knows_class:
            return method, last, target
    found = ", ".join(methods) or "none"
    raise Refusal(
        f"{maps.folder}: expected maps of the last layer, {last}, that differ by class; found {found}; "
        "add cam or gradcam to export.methods"
    )


def primary_name(maps: Maps) -> str | None:
    """METHOD.LAYER of the maps that stand for a model; None where no method of the last layer knows classes."""
    last = maps.manifest["layers"][-1]
    methods = [method for method, layer in maps.names if layer == last and maps.knows_class(method, layer)]
    return f"{min(methods, key=lambda method: (method != 'cam', method))}.{last}" if methods else None


def checked(values: np.ndarray) -> np.ndarray:
    """The same maps, where all are finite.

    Raises:
        Refusal: a NaN or an infinity, which is an error of the export and never a zero.
    """
    if not np.isfinite(values).all():
        raise Refusal(
            'maps: expected finite values, found NaN or infinity; run "dvc repro -sf export@NAME" of that model'
        )
    return values
