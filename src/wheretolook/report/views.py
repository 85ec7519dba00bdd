"""Views that all models share (one method at one depth), and mean maps of the classes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from wheretolook.analysis.grid import to_grid
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
