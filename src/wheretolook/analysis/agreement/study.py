"""The study that `compare` reads: models, images, and which pairs of maps can be compared."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from wheretolook.analysis.explained import Target, check_data
from wheretolook.analysis.grid import common_grid
from wheretolook.analysis.statistics.bootstrap import group_codes
from wheretolook.base.errors import InputError
from wheretolook.base.prepared import Prepared
from wheretolook.mapstore.store import Maps, load_maps

# At a pooled linear head these are the CAM divided by h * w: there they would count the same map twice.
CAM_AT_A_POOLED_HEAD = frozenset({"gradcam", "hirescam", "xgradcam"})


@dataclass(frozen=True)
class Comparison:
    """Maps of one method and comparable layers.

    Attributes:
        method: of the maps.
        layers: model name to layer name; its keys are the members.
        pairs: the pairs of members that are compared.
        primary: whether statements may rest on it: maps of the last layer, by the primary method.
    """

    method: str
    layers: dict[str, str]
    pairs: list[tuple[str, str]]
    primary: bool


def kind_of_pair(first: Mapping[str, Any], second: Mapping[str, Any], drive: Sequence[str]) -> str:
    """How two models differ: `drive`, `seeds` (one recipe) or `recipes`.

    Args:
        first: "model" of the one manifest.
        second: "model" of the other.
        drive: names of the models that came from Drive.
    """
    if first["name"] in drive or second["name"] in drive:
        return "drive"
    return "seeds" if first["recipe"] == second["recipe"] else "recipes"


def comparisons(models: Mapping[str, Maps], primary: str = "cam") -> list[Comparison]:
    """All that can be compared: the last layer of any two models, other layers of models that name their layers alike.

    Args:
        models: maps by model name, in their order.
        primary: method that statements rest on.
    """
    methods = list(dict.fromkeys(method for maps in models.values() for method, _ in maps.names))
    methods.sort(key=lambda method: (method != primary, method != "cam"))
    found = [comparison for method in methods for comparison in _of_method(models, method, primary)]
    return [comparison for comparison in found if comparison.pairs]


def _of_method(models: Mapping[str, Maps], method: str, primary: str) -> list[Comparison]:
    last = {name: maps.manifest["layers"][-1] for name, maps in models.items() if _has(maps, method, -1)}
    known = method in CAM_AT_A_POOLED_HEAD and method != primary
    once = {name for name in last if known and _has(models[name], "cam", -1)}
    pairs = [pair for pair in combinations(last, 2) if not once.issuperset(pair)]
    found = [Comparison(method, last, pairs, primary=method == primary)]
    architectures = list(dict.fromkeys(tuple(maps.manifest["layers"]) for maps in models.values()))
    for layers in architectures:
        alike = {name: maps for name, maps in models.items() if tuple(maps.manifest["layers"]) == layers}
        for i, layer in reversed(list(enumerate(layers[:-1]))):
            members = {name: layer for name, maps in alike.items() if _has(maps, method, i)}
            found.append(Comparison(method, members, list(combinations(members, 2)), primary=False))
    return found


def _has(maps: Maps, method: str, layer: int) -> bool:
    return (method, maps.manifest["layers"][layer]) in maps.names


SAMPLE = 8  # images
Compared = tuple[Comparison, Mapping[str, Target]]


def counted_once(comparison: Comparison, targets: Mapping[str, Target], before: Sequence[Compared]) -> Comparison:
    """The comparison less the pairs of models whose maps an equal method has already compared.

    At a pooled linear head gradcam, hirescam and xgradcam are all CAM / (h * w); at other layers not. Where CAM
    itself was not exported, which it is shows in the maps.
    """
    if comparison.method not in CAM_AT_A_POOLED_HEAD:
        return comparison
    pairs = comparison.pairs
    for other, known in before:
        if other.method in CAM_AT_A_POOLED_HEAD and other.layers == comparison.layers:
            equal = {name for name, target in targets.items() if _equal(target.array, known[name].array)}
            pairs = [pair for pair in pairs if pair not in other.pairs or not equal.issuperset(pair)]
    return replace(comparison, pairs=pairs)


def _equal(first: np.ndarray, second: np.ndarray) -> bool:
    a, b = np.asarray(first[:SAMPLE]), np.asarray(second[:SAMPLE])
    return a.shape == b.shape and np.allclose(a, b, rtol=0, atol=1e-5 * max(float(np.abs(a).max()), 1e-30))


@dataclass(frozen=True)
class Study:
    """Models and images.

    Attributes:
        maps: of each model, by name, in the order of params.yaml.
        drive: names of the models that came from Drive.
        prepared: the data.
        split: whose images are compared.
        primary: method of the maps of the last layer that statements rest on.
    """

    maps: dict[str, Maps]
    drive: tuple[str, ...]
    prepared: Prepared
    split: str
    primary: str = "cam"

    @property
    def additive(self) -> bool:
        """Whether primary maps add up to the logits, up to a factor: CAMs do, and gradcam where a model has CAMs."""
        return self.primary == "cam" or all(_has(maps, "cam", -1) for maps in self.maps.values())

    @property
    def names(self) -> list[str]:
        """The models, in order."""
        return list(self.maps)

    @property
    def class_names(self) -> tuple[str, ...]:
        """The classes, in class order."""
        return self.prepared.class_names

    @cached_property
    def rows(self) -> np.ndarray:
        """(n,) int64, rows of the split's images in the prepared data and in the maps."""
        return self.prepared.rows(self.split)

    @cached_property
    def labels(self) -> np.ndarray:
        """(N,) int64, true class of every prepared image."""
        return self.prepared.labels

    @cached_property
    def groups(self) -> np.ndarray:
        """(N,) int64, group of every prepared image; copies of a picture are one group."""
        index = self.prepared.index
        names, files = (index[key].to_numpy(dtype=str) for key in ("group", "sha256"))
        return group_codes(names, files, self.prepared.copies)

    @cached_property
    def right(self) -> dict[str, np.ndarray]:
        """Model to (n,) bool: whether it classified each image of the split right."""
        labels = self.labels[self.rows]
        return {name: maps.logits()[self.rows].argmax(axis=1) == labels for name, maps in self.maps.items()}

    def kind(self, first: str, second: str) -> str:
        """`seeds`, `recipes` or `drive` (`kind_of_pair`)."""
        return kind_of_pair(self.maps[first].manifest["model"], self.maps[second].manifest["model"], self.drive)


def primary_method(wanted: str, models: Mapping[str, Maps]) -> str:
    """The method that statements rest on: `wanted`; for "auto" cam, or gradcam where only that is of every model."""
    if wanted != "auto":
        return wanted
    every = (method for method in ("cam", "gradcam") if all(_has(maps, method, -1) for maps in models.values()))
    return next(every, "cam")


def load_study(names: Path, exports: Path, cams: Path, prepared: Prepared, split: str, primary: str = "auto") -> Study:
    """Open the maps of the models that are named; what else lies in the folders is left alone.

    Args:
        names: `reports/names.json`.
        exports: folder of the manifests that git tracks, `reports/exports`.
        cams: folder of the maps, `data/cams`.
        prepared: the data.
        split: "train", "val" or "test".
        primary: method that statements rest on (`primary_method`).

    Raises:
        InputError: the names, a manifest or its maps are missing; maps belong to other data; or the split is empty.
    """
    models, drive = _read_names(names)
    if not len(prepared.rows(split)):
        raise InputError(
            "compare.split", expected="a split with images", found=f"none in {split!r}", hint="choose another split"
        )
    maps = {}
    for name in models:
        maps[name] = load_maps(cams / name, exports / f"{name}.json")
        check_data(maps[name], prepared)
    return Study(maps, drive, prepared, split, primary_method(primary, maps))


def _read_names(path: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """All models, and those from Drive."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return tuple(found["models"]), tuple(found["drive"])
    except FileNotFoundError:
        what = "no such file"
    except (ValueError, KeyError, TypeError):
        what = "something else"
    raise InputError(path, expected="the names of the models", found=what, hint='run "dvc repro -sf check"')


def pairs_by_grid(
    comparison: Comparison, targets: Mapping[str, Target]
) -> dict[tuple[int, int], list[tuple[str, str]]]:
    """Pairs of models by the grid that both can be brought to: the coarser of the two."""
    found: dict[tuple[int, int], list[tuple[str, str]]] = {}
    for a, b in comparison.pairs:
        found.setdefault(common_grid(targets[a].grid, targets[b].grid), []).append((a, b))
    return found
