"""What is compared: the models that params.yaml names, their maps, and the images of one split."""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from wheretolook.analysis.agreement.pairs import kind_of_pair
from wheretolook.analysis.maps.provenance import check_data
from wheretolook.analysis.statistics.groups import group_codes
from wheretolook.cams.store import Maps, load_maps
from wheretolook.data.prepared import Prepared
from wheretolook.data.refusal import Refusal


@dataclass(frozen=True)
class Study:
    """Models and images.

    Attributes:
        maps: of each model, by name, in the order of params.yaml.
        drive: names of the models that came from Drive.
        prepared: the data.
        split: whose images are compared.
    """

    maps: dict[str, Maps]
    drive: tuple[str, ...]
    prepared: Prepared
    split: str

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


def load_study(names: Path, exports: Path, cams: Path, prepared: Prepared, split: str) -> Study:
    """Open the maps of the models that are named; what else lies in the folders is left alone.

    Args:
        names: `reports/names.json`.
        exports: folder of the manifests that git tracks, `reports/exports`.
        cams: folder of the maps, `data/cams`.
        prepared: the data.
        split: "train", "val" or "test".

    Raises:
        Refusal: the names, a manifest or its maps are missing; maps belong to other data; or the split is empty.
    """
    models, drive = _read_names(names)
    if not len(prepared.rows(split)):
        raise Refusal(f"compare.split: expected a split with images, found none in {split!r}; choose another split")
    maps = {}
    for name in models:
        maps[name] = load_maps(cams / name, exports / f"{name}.json")
        check_data(maps[name], prepared)
    return Study(maps, drive, prepared, split)


def _read_names(path: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """All models, and those from Drive."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return tuple(found["models"]), tuple(found["drive"])
    except FileNotFoundError:
        what = "no such file"
    except (ValueError, KeyError, TypeError):
        what = "something else"
    raise Refusal(f'{path}: expected the names of the models, found {what}; run "dvc repro -sf check"')
