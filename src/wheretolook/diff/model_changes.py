"""Figures of two models side by side, by the names that `dvc metrics` gives them, less the model's own."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from wheretolook.analysis.explained import Target, open_target
from wheretolook.analysis.grid import correlate_maps, row_blocks
from wheretolook.base.errors import InputError
from wheretolook.dataset.prepared import Prepared
from wheretolook.diff.sides import SharedImages, Side, shared_images
from wheretolook.mapstore.store import LOGITS, Maps, array_name
from wheretolook.report.gallery import shared_method


@dataclass(frozen=True)
class MetricChange:
    """One figure, `test.accuracy`; None on a side where it does not exist."""

    name: str
    a: float | None
    b: float | None

    @property
    def change(self) -> float | None:
        """B less A, or None."""
        return None if self.a is None or self.b is None else self.b - self.a


def metric_changes(a: Mapping[str, Any], b: Mapping[str, Any]) -> tuple[MetricChange, ...]:
    """All figures of either side, in the order of their names."""
    first, second = dict(_flat(a)), dict(_flat(b))
    return tuple(MetricChange(name, first.get(name), second.get(name)) for name in sorted(first.keys() | second.keys()))


def _flat(tree: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, float]]:
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{above}{key}.")
        else:
            yield f"{above}{key}", float(value)


@dataclass(frozen=True)
class Drift:
    """How far the maps moved.

    Attributes:
        images: counted; `left_out`, those of which one map is constant, so that it has no correlation.
        mean: 1 less the mean Pearson correlation of the two maps of an image: 0 the same gaze, 1 unrelated, 2 opposed.
        classes: the same by class.
    """

    images: int
    left_out: int
    mean: float
    classes: dict[str, float]


def correlations(a: Target, b: Target, shared: SharedImages) -> tuple[np.ndarray, np.ndarray]:
    """Pearson correlation of the two maps of each shared image, on the coarser of both grids.

    Args:
        a, b: maps of the true class, as a contrast.
        shared: n images.

    Returns:
        (n,) float64, 0 where undefined, and (n,) bool, whether both maps vary.
    """
    values, valid = np.zeros(len(shared.rows_a)), np.zeros(len(shared.rows_a), dtype=bool)
    size = 8 * int(np.prod(a.array.shape[1:]) + np.prod(b.array.shape[1:]))
    for block in row_blocks(np.arange(len(values)), size):
        maps_a, maps_b = a.true_class(shared.rows_a[block]), b.true_class(shared.rows_b[block])
        values[block], valid[block] = correlate_maps(maps_a, maps_b)
    return values, valid


def drift_of(values: np.ndarray, valid: np.ndarray, class_names: np.ndarray) -> Drift | None:
    """The mean over images, and by class; None where no image has a correlation.

    Args:
        values: (n,) correlations.
        valid: (n,) which of them are defined.
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


STILL = 1e-6  # the rounding of a correlation in float32: less is no move


@dataclass(frozen=True)
class Predictions:
    """What became of the predicted classes, in numbers of images.

    Attributes:
        images: compared.
        changed: those whose predicted class is another; `fixed` of them were wrong and are right, `broken` the reverse.
    """

    images: int
    changed: int
    fixed: int
    broken: int


@dataclass(frozen=True)
class Moved:
    """One image: 1 less the correlation of its two maps, what each side takes it for, its place in `Shared`."""

    image_id: str
    class_name: str
    drift: float
    predicted_a: str
    predicted_b: str
    place: int


@dataclass(frozen=True)
class ModelChange:
    """One model on both sides.

    Attributes:
        name_a, name_b: the model's name on each side.
        metrics: every figure of either side.
        predictions, drift: None where they could not be compared; `unknown` then says why.
        method: of the maps, "cam" where both have it.
        moved: the images whose maps moved most, the most first.
        shared: which rows of the two sides are the same images; None where nothing was read.
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
        """One name, or both."""
        return self.name_a if self.name_a == self.name_b else f"{self.name_a} → {self.name_b}"


def compare_model(a: Side, name_a: str, b: Side, name_b: str, count: int) -> ModelChange:
    """Compare a model of one side with a model of the other.

    Args:
        a, b: the sides.
        name_a, name_b: models of theirs.
        count: images that moved most to be named.

    Raises:
        InputError: a side lacks results of its model.
    """
    metrics = metric_changes(a.metrics(name_a), b.metrics(name_b))
    change = ModelChange(name_a, name_b, metrics)
    first, second = a.manifest(name_a), b.manifest(name_b)
    if first["arrays"] == second["arrays"] and first["data"] == second["data"]:
        # The same bytes of the same images: nothing need be read, or fetched.
        images = a.images(name_a)
        return replace(change, predictions=Predictions(images, 0, 0, 0), drift=Drift(images, 0, 0.0, {}))
    try:
        return _compare_arrays(a, b, change, count)
    except InputError as refusal:
        return replace(change, unknown=str(refusal))


def _compare_arrays(a: Side, b: Side, change: ModelChange, count: int) -> ModelChange:
    bare = {"a": Maps(a.root, a.manifest(change.name_a)), "b": Maps(b.root, b.manifest(change.name_b))}
    method = shared_method(bare)
    layers = {side: maps.manifest["layers"][-1] for side, maps in bare.items()}
    maps_a = a.maps(change.name_a, [LOGITS, array_name(method, layers["a"])])
    maps_b = b.maps(change.name_b, [LOGITS, array_name(method, layers["b"])])
    shared = shared_images(a.prepared, b.prepared)
    told = _Told(
        class_names=_names(a.prepared, a.prepared.labels[shared.rows_a]),
        predicted_a=_names(a.prepared, maps_a.logits()[shared.rows_a].argmax(axis=1)),
        predicted_b=_names(b.prepared, maps_b.logits()[shared.rows_b].argmax(axis=1)),
    )
    values, valid = correlations(
        open_target(maps_a, method, layers["a"], a.prepared.labels),
        open_target(maps_b, method, layers["b"], b.prepared.labels),
        shared,
    )
    drift = drift_of(values, valid, told.class_names)
    return replace(
        change,
        predictions=told.predictions(),
        drift=drift,
        method=method,
        moved=told.moved(a.prepared.index["image_id"].to_numpy()[shared.rows_a], values, valid, count),
        shared=shared,
        unknown="" if drift else "expected maps that vary, found constant ones alone",
    )


@dataclass(frozen=True)
class _Told:
    """Class names of the shared images, each (n,): the true one, and what each side takes it for."""

    class_names: np.ndarray
    predicted_a: np.ndarray
    predicted_b: np.ndarray

    def predictions(self) -> Predictions:
        right_a, right_b = self.predicted_a == self.class_names, self.predicted_b == self.class_names
        changed = int((self.predicted_a != self.predicted_b).sum())
        return Predictions(len(right_a), changed, int((~right_a & right_b).sum()), int((right_a & ~right_b).sum()))

    def moved(self, image_ids: np.ndarray, values: np.ndarray, valid: np.ndarray, count: int) -> tuple[Moved, ...]:
        went = valid & (values < 1 - STILL)
        furthest = np.argsort(np.where(went, values, np.inf), kind="stable")[: min(count, int(went.sum()))]
        return tuple(
            Moved(
                str(image_ids[i]),
                str(self.class_names[i]),
                float(1 - values[i]),
                str(self.predicted_a[i]),
                str(self.predicted_b[i]),
                int(i),
            )
            for i in furthest
        )


def _names(prepared: Prepared, indices: np.ndarray) -> np.ndarray:
    return np.array(prepared.class_names)[indices]
