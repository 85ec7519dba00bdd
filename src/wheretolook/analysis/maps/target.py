"""Stored maps read as what is compared: contrasts of each image's true class, or of one named class."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from wheretolook.analysis.maps.blocks import row_blocks
from wheretolook.analysis.maps.contrast import contrast, contrast_with_mean, contrast_with_rivals
from wheretolook.cams.manifest import BEYOND, array_name, stores_every_class
from wheretolook.cams.store import Maps
from wheretolook.data.refusal import Refusal
from wheretolook.data.remedy import remedy


@dataclass(frozen=True)
class Target:
    """Maps of one method and layer of one model, memory-mapped, with the true class of each image.

    Attributes:
        array: (N, K, h, w) float32, raw maps.
        labels: (N,) int64, true class of each stored image.
        every_class: whether K runs over all classes. Else (too many: `export.every_class_up_to`) column 0 is the true
            class, and column 2, where there is one, the mean over all classes.
        knows_class: whether the method's maps differ by class at all; where not, the one map is given as it is.
        class_count: all classes; only needed where their maps are not all stored.
        file: of the array, for messages: MODEL/METHOD.LAYER.npy.
        logits: (N, classes) float32 of the model; without them the other classes count alike in a contrast.
    """

    array: np.ndarray
    labels: np.ndarray
    every_class: bool
    knows_class: bool = True
    class_count: int = 0
    file: Path = Path("NAME/METHOD.LAYER.npy")
    logits: np.ndarray | None = None

    @property
    def contrasted(self) -> bool:
        """Whether `true_class` gives contrasts.

        Methods that know no class have none, and where not every class is stored, neither have those that are not
        linear in the class, such as gradcam++: the true class's own map stands in its place.
        """
        return self.knows_class and (self.every_class or self.array.shape[1] == len(BEYOND))

    @property
    def grid(self) -> tuple[int, int]:
        """(h, w) of the maps."""
        return self.array.shape[2], self.array.shape[3]

    def true_class(self, rows: np.ndarray) -> np.ndarray:
        """Contrast maps (else own maps) of each image's true class: (n, h, w) float32 for `rows` (n,)."""
        if not self.contrasted:
            return checked(np.asarray(self.array[rows, 0]), self.file, rows)
        if self.every_class:
            maps, labels = np.asarray(self.array[rows]), self.labels[rows]
            rivals = self.logits is not None
            found = contrast_with_rivals(maps, labels, self.logits[rows]) if rivals else contrast(maps, labels)
            return checked(found, self.file, rows)
        own, mean = self.array[rows, BEYOND.index("true")], self.array[rows, BEYOND.index("mean")]
        return checked(contrast_with_mean(np.asarray(own), np.asarray(mean), self.class_count), self.file, rows)

    def named_class(self, rows: np.ndarray, class_index: int) -> np.ndarray:
        """Contrast maps of one class for every image: (n, h, w) float32.

        Raises:
            Refusal: only the true and the predicted class are stored.
        """
        if not self.every_class:
            raise Refusal(
                f"maps of one class for every image: expected those of all {self.class_count} classes, found those of "
                f"the true and the predicted one; set export.every_class_up_to to {self.class_count}"
            )
        return checked(contrast(np.asarray(self.array[rows]), class_index), self.file, rows)

    def two_classes(self, rows: np.ndarray, class_index: int, other: int) -> np.ndarray:
        """Map of one class less that of one other, for every image: (n, h, w) float32.

        Raises:
            Refusal: only the true and the predicted class are stored.
        """
        if not self.every_class:
            return self.named_class(rows, class_index)
        return checked(self.array[rows, class_index] - self.array[rows, other], self.file, rows)

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
            f"{remedy(maps.folder)}"
        )
    file = array_name(method, layer)
    knows_class = maps.manifest["arrays"][file]["knows_class"]
    about = stores_every_class(maps.manifest), knows_class, len(maps.class_names), maps.folder / file
    if stores_every_class(maps.manifest) and len(maps.class_names) > 2:
        about = (*about, maps.logits())
    return Target(array, np.asarray(labels, dtype=np.int64), *about)


def open_primary(maps: Maps, labels: np.ndarray) -> Target | None:
    """The primary maps of a model, CAMs of its last layer, from which alone statements are made; None without them."""
    last = maps.manifest["layers"][-1]
    return open_target(maps, "cam", last, labels) if ("cam", last) in maps.names else None


def foremost(maps: Maps) -> tuple[str, str] | None:
    """Method and layer of the maps that stand for a model: the primary ones, or else those of the first method.

    Of the last layer's methods that know classes; None where there are none.
    """
    last = maps.manifest["layers"][-1]
    methods = [method for method, layer in maps.names if layer == last and maps.knows_class(method, layer)]
    return (min(methods, key=lambda method: (method != "cam", method)), last) if methods else None


def open_foremost(maps: Maps, labels: np.ndarray) -> tuple[str, str, Target]:
    """The foremost maps.

    Returns:
        Method, layer, and the maps.

    Raises:
        Refusal: no method of the last layer knows classes.
    """
    pair = foremost(maps)
    if pair is None:
        last = maps.manifest["layers"][-1]
        found = ", ".join(method for method, layer in maps.names if layer == last) or "none"
        raise Refusal(
            f"{maps.folder}: expected maps of the last layer, {last}, that differ by class; found {found}; "
            "add cam or gradcam to export.methods"
        )
    return *pair, open_target(maps, *pair, labels)


def checked(values: np.ndarray, file: Path, rows: np.ndarray | None = None) -> np.ndarray:
    """The same maps, where all are finite.

    Args:
        values: (n, ...).
        file: that they were read from, MODEL/METHOD.LAYER.npy.
        rows: (n,) int64, the image of each, a row of the prepared data; None: they are of no single image.

    Raises:
        Refusal: a NaN or an infinity, which is an error of the export and never a zero.
    """
    if np.isfinite(values).all():
        return values
    where = ""
    if rows is not None:
        bad = rows[~np.isfinite(values).reshape(len(values), -1).all(axis=1)]
        where = f" in row {bad[0]} (from 0) of the index" + (f" and {len(bad) - 1} more" if len(bad) > 1 else "")
    raise Refusal(f"{file}: expected finite maps, found NaN or infinity{where}; {remedy(file.parent)}")
