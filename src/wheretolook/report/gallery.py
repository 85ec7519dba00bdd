"""Views that all models share (one method at one depth), mean maps of the classes, and the gallery's images."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from wheretolook.analysis.explained import open_target
from wheretolook.analysis.grid import correlate_maps, to_grid
from wheretolook.analysis.statistics.classification import softmax
from wheretolook.base.errors import InputError
from wheretolook.mapstore.store import Maps, cam_first


@dataclass(frozen=True)
class View:
    """One method at one depth.

    Attributes:
        method: for instance "cam".
        depth: layers before the last: 0 the last one. Models of unequal depth meet at their last layers.
        layers: layer by model, or None where a model has no such map (a head that was not trained has no CAM).
        label: the layers' names, as the page shows them.
    """

    method: str
    depth: int
    layers: Mapping[str, str | None]
    label: str


def views_of(maps: Mapping[str, Maps]) -> list[View]:
    """Every view that some model has a map for: CAM first, methods by name, layers from first to last."""
    deepest = max(len(stored.manifest["layers"]) for stored in maps.values())
    methods = cam_first({method for stored in maps.values() for method, _ in stored.names})
    views = [_view(maps, method, depth) for method in methods for depth in reversed(range(deepest))]
    return [view for view in views if any(view.layers.values())]


def layer_labels(maps: Mapping[str, Maps]) -> list[str]:
    """Name of each depth, first layer to last: the layer's own name, or all names that it has among the models."""
    deepest = max(len(stored.manifest["layers"]) for stored in maps.values())
    return [_label(maps, depth) for depth in reversed(range(deepest))]


def _view(maps: Mapping[str, Maps], method: str, depth: int) -> View:
    layers = {name: _layer(stored, depth) for name, stored in maps.items()}
    there = {name: layer if (method, layer) in maps[name].names else None for name, layer in layers.items()}
    return View(method, depth, there, _label(maps, depth))


def _label(maps: Mapping[str, Maps], depth: int) -> str:
    names = dict.fromkeys(layer for stored in maps.values() if (layer := _layer(stored, depth)))
    return " / ".join(names)


def _layer(stored: Maps, depth: int) -> str | None:
    layers: Sequence[str] = stored.manifest["layers"]
    return layers[-1 - depth] if depth < len(layers) else None


@dataclass(frozen=True)
class Overlays:
    """The classes' mean maps of one view, in units of each model's own RMS over the split.

    Attributes:
        labels: what each row is: the classes, then their difference.
        models: by model (rows, h, w) float32, or None.
        consensus: (rows, h, w) float32 on the coarsest grid: where all models that have the map agree in sign, the
            value nearest to zero among them; elsewhere 0.
    """

    labels: tuple[str, ...]
    models: Mapping[str, np.ndarray | None]
    consensus: np.ndarray


def overlays_of(view: View, described: Mapping[str, Any], folder: Path) -> Overlays:
    """Mean maps of a view.

    Args:
        view: method and layers.
        described: reports/comparison/overlays.json.
        folder: data/comparison.
    """
    models: dict[str, np.ndarray | None] = {}
    differ = False
    for name, layer in view.layers.items():
        entry = described["models"][name].get(f"{view.method}.{layer}") if layer else None
        models[name] = None if entry is None else _in_rms(entry, folder)
        differ |= entry is not None and entry["difference"] is not None
    labels = _labels(described) if differ else tuple(described["classes"])
    return Overlays(labels, models, _consensus([array for array in models.values() if array is not None]))


def of_rows(made: Overlays, classes: Sequence[str], shown: Sequence[str]) -> Overlays:
    """The mean maps of some classes, and their difference, in their order.

    Args:
        made: of all classes.
        classes: all of them, as `described` has them.
        shown: some or all.
    """
    if len(shown) == len(classes):
        return made
    places = [classes.index(name) for name in shown]
    rows = [*places, *(len(classes) + place for place in places if len(classes) + place < len(made.labels))]
    models = {name: None if maps is None else maps[rows] for name, maps in made.models.items()}
    return Overlays(tuple(made.labels[row] for row in rows), models, made.consensus[rows])


def mean_images(described: Mapping[str, Any], folder: Path, shown: Sequence[str]) -> np.ndarray:
    """The mean image of each class that is shown, (classes, S, S, 3) uint8; other arguments as of `overlays_of`."""
    mean = _read(folder / described["images"]["mean"])[[described["classes"].index(name) for name in shown]]
    return np.rint(mean).clip(0, 255).astype(np.uint8)


def _read(path: Path) -> np.ndarray:
    try:
        return np.load(path)
    except FileNotFoundError:
        raise InputError(
            path, expected="what compare writes", found="no file", hint='run "dvc repro -sf compare"'
        ) from None


def _in_rms(entry: Mapping[str, Any], folder: Path) -> np.ndarray:
    """Mean maps of classes (rows, h, w) and their difference, divided by the RMS; an RMS of 0 is of zeros."""
    files = [entry["mean"], *([entry["difference"]] if entry["difference"] else [])]
    maps = np.concatenate([_read(folder / file) for file in files])
    return (maps / entry["rms"] if entry["rms"] > 0 else maps).astype(np.float32)


def _labels(described: Mapping[str, Any]) -> tuple[str, ...]:
    """Rows: the classes, then the map over the images of a class minus that over the rest."""
    classes: Sequence[str] = described["classes"]
    if len(classes) > 2:
        return (*classes, *(f"{name} minus the rest" for name in classes))
    what = f"log-odds of {classes[0]}" if len(described["class_names"]) == 2 else classes[0]
    return (*classes, f"{what}: its images minus those of {classes[1]}")


def _consensus(arrays: Sequence[np.ndarray]) -> np.ndarray:
    grid = min(array.shape[1] for array in arrays), min(array.shape[2] for array in arrays)
    stacked = np.stack([to_grid(array, grid) for array in arrays])
    alike = (stacked > 0).all(axis=0) | (stacked < 0).all(axis=0)
    nearest = np.take_along_axis(stacked, np.abs(stacked).argmin(axis=0)[None], axis=0)[0]
    return np.where(alike, nearest, 0).astype(np.float32)


@dataclass(frozen=True)
class Gallery:
    """Chosen images of one split.

    Attributes:
        rows: (n,) int64, rows of the prepared data, ascending.
        total: images in the split.
        scores: softmax of the last head by model, (n, K) float64.
        disagreement: (n,) float64, 1 less the mean correlation of two models' maps over pairs: 0 alike to 2 opposed.
            Maps of `method` at each model's last layer, true class, as a contrast. NaN where no pair has a
            correlation (one model, or constant maps).
        method: "cam", or else the first method that all models have at their last layer.
        cells: how many images of each class, right and wrong, are shown of how many.
    """

    rows: np.ndarray
    total: int
    scores: Mapping[str, np.ndarray]
    disagreement: np.ndarray
    method: str
    cells: tuple["Cell", ...] = ()


@dataclass(frozen=True)
class Cell:
    """Images of one class that all models classify correctly, or that some model does not: shown, and in the split."""

    class_index: int
    wrong: bool
    shown: int
    total: int


def choose_rows(labels: np.ndarray, wrong: np.ndarray, count: int, ease: np.ndarray | None = None) -> np.ndarray:
    """Which of n images to show: of each class, images that all models classify correctly and others, in equal shares.

    What such a part cannot fill, the others share; so each part that has images has one, given `count` of them. Within
    a part, images are taken at even distances from the hardest to the easiest.

    Args:
        labels: (n,) class index.
        wrong: (n,) bool, whether some model erred.
        count: how many to choose at most.
        ease: (n,) how easy each image is, for instance the score of its true class; None: in the order of the data.

    Returns:
        Positions, int64, ascending.
    """
    chosen, rest = np.zeros(0, np.int64), count
    order = np.arange(len(labels)) if ease is None else np.argsort(ease, kind="stable")
    parts = [
        order[(labels == k)[order] & (wrong == erred)[order]] for k in np.unique(labels) for erred in (True, False)
    ]
    parts = [positions for positions in parts if len(positions)]
    # Smallest first: what it cannot fill, the others share.
    for left, positions in zip(range(len(parts), 0, -1), sorted(parts, key=len), strict=True):
        taken = _spread(positions, min(len(positions), rest // left))
        chosen, rest = np.concatenate([chosen, taken]), rest - len(taken)
    return np.sort(chosen)


def make_gallery(maps: Mapping[str, Maps], labels: np.ndarray, rows: np.ndarray, count: int) -> Gallery:
    """Choose images of a split and gather the models' scores for them.

    Args:
        maps: by model.
        labels: (N,) class index of all images.
        rows: (n,) images to choose from.
        count: how many at most.

    Raises:
        InputError: the models have no method in common at their last layers.
    """
    wrong = np.any([stored.logits()[rows].argmax(axis=1) != labels[rows] for stored in maps.values()], axis=0)
    positions = choose_rows(labels[rows], wrong, count, _ease(maps, labels, rows))
    chosen = rows[positions]
    method = shared_method(maps)
    last = [open_target(stored, method, stored.manifest["layers"][-1], labels) for stored in maps.values()]
    return Gallery(
        rows=chosen,
        total=len(rows),
        scores={name: softmax(stored.logits()[chosen]) for name, stored in maps.items()},
        disagreement=disagreement([target.true_class(chosen) for target in last]),
        method=method,
        cells=_cells(labels[rows], wrong, positions),
    )


def _ease(maps: Mapping[str, Maps], labels: np.ndarray, rows: np.ndarray, step: int = 4096) -> np.ndarray:
    """(n,) mean score of the true class over models; in steps, since a split may have many images and classes."""
    each = []
    for stored in maps.values():
        scores = [softmax(stored.logits()[part]) for part in np.split(rows, range(step, len(rows), step))]
        each.append(
            np.concatenate(
                [
                    part[np.arange(len(part)), labels[some]]
                    for part, some in zip(scores, np.split(rows, range(step, len(rows), step)), strict=True)
                ]
            )
        )
    return np.mean(each, axis=0)


def _cells(labels: np.ndarray, wrong: np.ndarray, shown: np.ndarray) -> tuple[Cell, ...]:
    """Every non-empty combination of a class with right or wrong."""
    chosen = np.isin(np.arange(len(labels)), shown)
    cells = [
        (int(k), erred, own)
        for k in np.unique(labels)
        for erred in (False, True)
        if (own := (labels == k) & (wrong == erred)).any()
    ]
    return tuple(Cell(k, erred, int((own & chosen).sum()), int(own.sum())) for k, erred, own in cells)


def shared_method(maps: Mapping[str, Maps]) -> str:
    """The method that compares the last layers of all models: CAM where all have it.

    Raises:
        InputError: there is none.
    """
    each = [{m for m, layer in stored.names if layer == stored.manifest["layers"][-1]} for stored in maps.values()]
    shared = cam_first(set.intersection(*each))
    if not shared:
        raise InputError(
            "maps", expected="one method that all models have at their last layer", found="none", hint='run "dvc repro"'
        )
    return shared[0]


def disagreement(maps: list[np.ndarray]) -> np.ndarray:
    """1 minus the mean Pearson correlation over pairs of models, image by image, on the coarser grid of each pair.

    Args:
        maps: for each model (n, h, w), signed.

    Returns:
        (n,) float64; NaN where no pair has a correlation, since a constant map has none.
    """
    pairs = [(a, b) for i, a in enumerate(maps) for b in maps[i + 1 :]]
    if not pairs:
        return np.full(len(maps[0]), np.nan)
    each = np.stack([_correlation(a, b) for a, b in pairs])
    known = np.isfinite(each)
    total = np.where(known, each, 0).sum(axis=0)
    return 1 - np.divide(total, known.sum(axis=0), out=np.full(each.shape[1], np.nan), where=known.any(axis=0))


def _correlation(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Pearson's r of each image's two maps, (n,) float64; NaN where one is constant, as `correlate_maps` decides."""
    r, vary = correlate_maps(a, b)
    return np.where(vary, r, np.nan)


def _spread(positions: np.ndarray, count: int) -> np.ndarray:
    """`count` of the positions at even distances from the first to the last; of one, the middle."""
    if count == 1:
        return positions[[(len(positions) - 1) // 2]]
    return positions[np.rint(np.linspace(0, len(positions) - 1, count)).astype(np.int64)]
