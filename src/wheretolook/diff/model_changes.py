"""Compare one model of each side: metrics, predictions and maps."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from wheretolook.analysis.explained import Target, open_target
from wheretolook.analysis.grid import correlate_maps, row_blocks
from wheretolook.base.errors import InputError
from wheretolook.base.prepared import Prepared
from wheretolook.diff.sides import SharedImages, Side, shared_images
from wheretolook.mapstore.store import LOGITS, Maps, array_name
from wheretolook.report.gallery import shared_method

UNCHANGED = 1e-6  # rounding error of a correlation in float32


@dataclass(frozen=True)
class MetricChange:
    """One metric, such as `test.accuracy`; None on a side that does not have it."""

    name: str
    a: float | None
    b: float | None

    @property
    def change(self) -> float | None:
        """B minus A; None if a side does not have the metric."""
        return None if self.a is None or self.b is None else self.b - self.a


@dataclass(frozen=True)
class Drift:
    """How much the maps of a model changed.

    Attributes:
        images: number of images that count.
        left_out: number of images with a constant map, for which the correlation is undefined.
        mean: 1 minus the mean Pearson correlation between an image's two maps: 0 identical, 1 uncorrelated, 2 inverted.
        classes: the same by class.
    """

    images: int
    left_out: int
    mean: float
    classes: dict[str, float]


@dataclass(frozen=True)
class Predictions:
    """Changes of the predicted classes, in numbers of images.

    Attributes:
        images: compared images.
        changed: images whose predicted class differs.
        fixed: wrong in A, right in B.
        broken: right in A, wrong in B.
    """

    images: int
    changed: int
    fixed: int
    broken: int


@dataclass(frozen=True)
class Moved:
    """An image whose map changed: its drift, its predicted classes, and its index among the shared images."""

    image_id: str
    class_name: str
    drift: float
    predicted_a: str
    predicted_b: str
    shared_index: int


@dataclass(frozen=True)
class ModelChange:
    """One model on both sides.

    Attributes:
        name_a, name_b: the model's name on each side.
        metrics: every metric of either side.
        predictions, drift: None if they could not be compared; `unknown` then gives the reason.
        method: CAM method of the maps: "cam" if both sides have it.
        moved: images whose maps changed most, in descending order.
        shared: rows of the images that both sides have; None if no data was read.
        unknown: why predictions or drift are missing; empty if they are not.
    """

    name_a: str
    name_b: str
    metrics: tuple[MetricChange, ...]
    predictions: Predictions | None = None
    drift: Drift | None = None
    method: str = ""
    moved: tuple[Moved, ...] = ()
    shared: SharedImages | None = None
    unknown: str = ""

    @property
    def name(self) -> str:
        """The name; both names if they differ."""
        return self.name_a if self.name_a == self.name_b else f"{self.name_a} → {self.name_b}"


def compare_model(a: Side, name_a: str, b: Side, name_b: str, count: int) -> ModelChange:
    """Compare a model of one side with a model of the other.

    Args:
        a, b: the sides.
        name_a, name_b: a model of each.
        count: number of images to list, those whose maps changed most.

    Raises:
        InputError: a side lacks results of its model.
    """
    metrics = metric_changes(a.metrics(name_a), b.metrics(name_b))
    change = ModelChange(name_a, name_b, metrics)
    manifest_a, manifest_b = a.manifest(name_a), b.manifest(name_b)
    if manifest_a["arrays"] == manifest_b["arrays"] and manifest_a["data"] == manifest_b["data"]:
        # Identical arrays of identical images need not be fetched or read.
        images = a.images(name_a)
        return replace(change, predictions=Predictions(images, 0, 0, 0), drift=Drift(images, 0, 0.0, {}))
    try:
        return _compare_arrays(a, b, change, count)
    except InputError as error:
        return replace(change, unknown=str(error))


def _compare_arrays(a: Side, b: Side, change: ModelChange, count: int) -> ModelChange:
    unread = {"a": Maps(a.root, a.manifest(change.name_a)), "b": Maps(b.root, b.manifest(change.name_b))}
    method = shared_method(unread)
    layers = {side: maps.manifest["layers"][-1] for side, maps in unread.items()}
    maps_a = a.maps(change.name_a, [LOGITS, array_name(method, layers["a"])])
    maps_b = b.maps(change.name_b, [LOGITS, array_name(method, layers["b"])])
    shared = shared_images(a.prepared, b.prepared)
    classes = _Classes(
        class_names=_names(a.prepared, a.prepared.labels[shared.rows_a]),
        predicted_a=_names(a.prepared, maps_a.logits()[shared.rows_a].argmax(axis=1)),
        predicted_b=_names(b.prepared, maps_b.logits()[shared.rows_b].argmax(axis=1)),
    )
    values, valid = correlations(
        open_target(maps_a, method, layers["a"], a.prepared.labels),
        open_target(maps_b, method, layers["b"], b.prepared.labels),
        shared,
    )
    drift = drift_of(values, valid, classes.class_names)
    return replace(
        change,
        predictions=classes.predictions(),
        drift=drift,
        method=method,
        moved=classes.moved(a.prepared.index["image_id"].to_numpy()[shared.rows_a], values, valid, count),
        shared=shared,
        unknown="" if drift else "all maps are constant",
    )


@dataclass(frozen=True)
class _Classes:
    """True and predicted class names of the shared images, (n,) each."""

    class_names: np.ndarray
    predicted_a: np.ndarray
    predicted_b: np.ndarray

    def predictions(self) -> Predictions:
        right_a, right_b = self.predicted_a == self.class_names, self.predicted_b == self.class_names
        changed = int((self.predicted_a != self.predicted_b).sum())
        return Predictions(len(right_a), changed, int((~right_a & right_b).sum()), int((right_a & ~right_b).sum()))

    def moved(self, image_ids: np.ndarray, values: np.ndarray, valid: np.ndarray, count: int) -> tuple[Moved, ...]:
        changed = valid & (values < 1 - UNCHANGED)
        most = np.argsort(np.where(changed, values, np.inf), kind="stable")[: min(count, int(changed.sum()))]
        return tuple(
            Moved(
                str(image_ids[i]),
                str(self.class_names[i]),
                float(1 - values[i]),
                str(self.predicted_a[i]),
                str(self.predicted_b[i]),
                int(i),
            )
            for i in most
        )


def metric_changes(a: Mapping[str, Any], b: Mapping[str, Any]) -> tuple[MetricChange, ...]:
    """All metrics of either side, sorted by name; names as in `dvc metrics`, without the model's."""
    flat_a, flat_b = dict(_flatten(a)), dict(_flatten(b))
    names = sorted(flat_a.keys() | flat_b.keys())
    return tuple(MetricChange(name, flat_a.get(name), flat_b.get(name)) for name in names)


def _flatten(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, float]]:
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from _flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", float(value)


def correlations(a: Target, b: Target, shared: SharedImages) -> tuple[np.ndarray, np.ndarray]:
    """Pearson correlation between the two maps of each shared image, on the coarser of the two grids.

    Args:
        a, b: contrast maps of the true class.
        shared: n images.

    Returns:
        (n,) float64, 0 where undefined; and (n,) bool, false where a map is constant.
    """
    values, valid = np.zeros(len(shared.rows_a)), np.zeros(len(shared.rows_a), dtype=bool)
    size = 8 * int(np.prod(a.array.shape[1:]) + np.prod(b.array.shape[1:]))
    for block in row_blocks(np.arange(len(values)), size):
        maps_a, maps_b = a.true_class(shared.rows_a[block]), b.true_class(shared.rows_b[block])
        values[block], valid[block] = correlate_maps(maps_a, maps_b)
    return values, valid


def drift_of(values: np.ndarray, valid: np.ndarray, class_names: np.ndarray) -> Drift | None:
    """Drift over all images and by class; None if no correlation is defined.

    Args:
        values: (n,) correlations.
        valid: (n,) bool, which of them are defined.
        class_names: (n,) true class of each image.
    """
    if not valid.any():
        return None
    classes = {
        str(name): float(1 - values[chosen].mean())
        for name in np.unique(class_names)
        if (chosen := valid & (class_names == name)).any()
    }
    return Drift(int(valid.sum()), int((~valid).sum()), float(1 - values[valid].mean()), classes)


def _names(prepared: Prepared, indices: np.ndarray) -> np.ndarray:
    return np.array(prepared.class_names)[indices]
