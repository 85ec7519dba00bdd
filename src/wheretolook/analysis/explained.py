"""The maps that are compared: the map of a class as a contrast, minus the maps of the other classes.

Adding one vector to all class weights of a linear head changes every CAM and not one prediction. A contrast is free
of that; with two classes it is the map of the log-odds. In the map of an image, the other classes are weighted by their
softmax scores among each other, so that it is mainly a contrast with the runner-up: a place that excludes a class with
which nothing is confused contributes nothing. In the map of a whole class, which has no logits, all count equally.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from wheretolook.analysis.grid import row_blocks
from wheretolook.base.errors import InputError, repro_command
from wheretolook.base.prepared import Prepared
from wheretolook.mapstore.store import BEYOND, Maps, array_name, stores_every_class


def contrast(maps: np.ndarray, class_index: int | np.ndarray) -> np.ndarray:
    """Map of a class less the mean of the maps of all other classes.

    Args:
        maps: (n, K, h, w) float32, raw and signed, K >= 2.
        class_index: one class for all images, or (n,) int64, a class for each.

    Returns:
        (n, h, w) float32, in the units of the maps.

    Raises:
        ValueError: fewer than two classes.
    """
    count = maps.shape[1]
    if count < 2:
        raise ValueError(f"a contrast needs the maps of two classes or more, found {count}")
    index = np.broadcast_to(np.asarray(class_index), len(maps))
    if count == 2:
        difference = maps[:, 0] - maps[:, 1]
        return np.where(index[:, None, None] == 0, difference, -difference)
    own = maps[np.arange(len(maps)), index]
    return own - (maps.sum(axis=1) - own) / np.float32(count - 1)


def contrast_with_mean(own: np.ndarray, mean: np.ndarray, count: int) -> np.ndarray:
    """The same contrast, of a class's map and the mean over all classes' maps, itself among them.

    Args:
        own: (n, h, w) float32.
        mean: (n, h, w) float32.
        count: K >= 2 classes.
    """
    return (own - mean) * np.float32(count / (count - 1))


def contrast_with_rivals(maps: np.ndarray, class_index: np.ndarray, logits: np.ndarray) -> np.ndarray:
    """Map of each image's class less the maps of the others, weighted by their softmax scores among each other.

    For methods that are linear in the class this is the map of the log-odds of the class against all others, to first
    order around the image's own logits.

    Args:
        maps: (n, K, h, w) float32, raw and signed, K >= 2.
        class_index: (n,) int64, a class for each image.
        logits: (n, K) float32 of the same images.

    Returns:
        (n, h, w) float32, in the units of the maps.
    """
    if maps.shape[1] == 2:
        return contrast(maps, class_index)
    images = np.arange(len(maps))
    rivals = logits.astype(np.float64)
    rivals[images, class_index] = -np.inf
    weights = np.exp(rivals - rivals.max(axis=1, keepdims=True))
    weights = (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
    return maps[images, class_index] - np.einsum("nk,nkhw->nhw", weights, maps)


def check_data(maps: Maps, prepared: Prepared) -> None:
    """Refuse maps that were made from other data.

    Raises:
        InputError: the data's hash, or the classes, differ.
    """
    for what, expected, found in (
        ("data", prepared.sha256[:12], maps.manifest["data"]["sha256"][:12]),
        ("classes", list(prepared.class_names), list(maps.class_names)),
    ):
        if expected != found:
            raise InputError(
                maps.folder, expected=f"maps of {what} {expected}", found=found, hint=repro_command(maps.folder)
            )


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
        linear in the class, such as gradcam++: the true class's own map is used.
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
            logits = self.logits
            found = contrast(maps, labels) if logits is None else contrast_with_rivals(maps, labels, logits[rows])
            return checked(found, self.file, rows)
        own, mean = self.array[rows, BEYOND.index("true")], self.array[rows, BEYOND.index("mean")]
        return checked(contrast_with_mean(np.asarray(own), np.asarray(mean), self.class_count), self.file, rows)

    def named_class(self, rows: np.ndarray, class_index: int) -> np.ndarray:
        """Contrast maps of one class for every image: (n, h, w) float32.

        Raises:
            InputError: only the true and the predicted class are stored.
        """
        if not self.every_class:
            raise InputError(
                "maps of one class for every image",
                expected=f"those of all {self.class_count} classes",
                found="those of the true and the predicted one",
                hint=f"set export.every_class_up_to to {self.class_count}",
            )
        return checked(contrast(np.asarray(self.array[rows]), class_index), self.file, rows)

    def two_classes(self, rows: np.ndarray, class_index: int, other: int) -> np.ndarray:
        """Map of one class less that of one other, for every image: (n, h, w) float32.

        Raises:
            InputError: only the true and the predicted class are stored.
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
        InputError: no such maps, or maps of another number of images than there are labels.
    """
    array = maps.open(method, layer)
    if len(array) != len(labels):
        raise InputError(
            f"{maps.folder}/{method}.{layer}.npy",
            expected=f"{len(labels)} maps",
            found=len(array),
            hint=repro_command(maps.folder),
        )
    file = array_name(method, layer)
    knows_class = maps.manifest["arrays"][file]["knows_class"]
    every_class, count = stores_every_class(maps.manifest), len(maps.class_names)
    logits = maps.logits() if every_class and count > 2 else None
    labels = np.asarray(labels, dtype=np.int64)
    return Target(array, labels, every_class, knows_class, count, maps.folder / file, logits)


def open_primary(maps: Maps, labels: np.ndarray, method: str = "cam") -> Target | None:
    """The primary maps of a model, of its last layer, from which alone statements are made; None without them."""
    last = maps.manifest["layers"][-1]
    return open_target(maps, method, last, labels) if (method, last) in maps.names else None


def foremost(maps: Maps) -> tuple[str, str] | None:
    """Method and layer of the maps that stand for a model: cam, or else gradcam, or else the first by name.

    Of the last layer's methods that know classes; None where there are none.
    """
    last = maps.manifest["layers"][-1]
    methods = [method for method, layer in maps.names if layer == last and maps.knows_class(method, layer)]
    return (min(methods, key=lambda method: (method != "cam", method != "gradcam", method)), last) if methods else None


def open_foremost(maps: Maps, labels: np.ndarray) -> tuple[str, str, Target]:
    """The foremost maps.

    Returns:
        Method, layer, and the maps.

    Raises:
        InputError: no method of the last layer knows classes.
    """
    pair = foremost(maps)
    if pair is None:
        last = maps.manifest["layers"][-1]
        found = ", ".join(method for method, layer in maps.names if layer == last) or "none"
        raise InputError(
            maps.folder,
            expected=f"maps of the last layer, {last}, that differ by class",
            found=found,
            hint="add cam or gradcam to export.methods",
        )
    return *pair, open_target(maps, *pair, labels)


def checked(values: np.ndarray, file: Path, rows: np.ndarray | None = None) -> np.ndarray:
    """Return the maps if all values are finite.

    Args:
        values: (n, ...).
        file: that they were read from, MODEL/METHOD.LAYER.npy.
        rows: (n,) int64, the image of each, a row of the prepared data; None: they are of no single image.

    Raises:
        InputError: a NaN or an infinity, which is an error of the export and never a zero.
    """
    if np.isfinite(values).all():
        return values
    where = ""
    if rows is not None:
        bad = rows[~np.isfinite(values).reshape(len(values), -1).all(axis=1)]
        where = f" in row {bad[0]} (from 0) of the index" + (f" and {len(bad) - 1} more" if len(bad) > 1 else "")
    raise InputError(file, expected="finite maps", found=f"NaN or infinity{where}", hint=repro_command(file.parent))
