"""Differences by place in the models' maps: of two classes, and of each class against the rest (`differences.json`)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np
from scipy.ndimage import label
from tqdm import tqdm

from wheretolook.analysis.agreement.study import Study
from wheretolook.analysis.classes.contributions import (
    ALPHA,
    ClassDifference,
    Contributions,
    by_cell,
    by_place,
    by_region,
    difference,
    found_cells,
    tested_classes,
)
from wheretolook.analysis.explained import Target, open_primary
from wheretolook.analysis.grid import common_grid
from wheretolook.analysis.localisation.common_place import share_at_odds
from wheretolook.analysis.results.schema import FEWEST_RELABELLINGS
from wheretolook.analysis.statistics.permutation import design_of, directed_consensus, place_test

PAIR_ALPHA = 0.05


@dataclass(frozen=True)
class PairDifference:
    """One class against one other at one place, over the n images of both.

    Attributes:
        region: a mask region, or cells in words.
        own: (n,) bool, images of the class.
        groups: (n,) integers.
        area: share of the image, in the class or in the other, whichever is larger.
        p: by model, p-value of "the means are equal", two-sided, adjusted for all places; 1 where the class has less.
        share: by model, share of the difference of mean logits; None where the class as a whole has no more.
        surplus: by model, (n,) float64, what lies there beyond the share at which its odds are twice those of the area.
        bears: whether images of the class have the region.
    """

    region: str
    own: np.ndarray
    groups: np.ndarray
    area: float
    p: Mapping[str, float]
    share: Mapping[str, float | None]
    surplus: Mapping[str, np.ndarray]
    bears: bool

    def influence(self, models: Sequence[str]) -> tuple[float, np.ndarray]:
        """Mean surplus of the class less that of the other, over these models; and what each image does to it, (n,).

        The influences have the mean of the difference, so that their interval is that of the difference.
        """
        surplus = np.mean([self.surplus[name] for name in models], axis=0)
        own, share = self.own, self.own.mean()
        difference = surplus[own].mean() - surplus[~own].mean()
        mine, theirs = (surplus - surplus[own].mean()) / share, (surplus - surplus[~own].mean()) / (1 - share)
        residuals = np.where(own, mine, -theirs)
        return float(difference), difference + residuals


def pair_differences(
    contributions: Mapping[str, Contributions],
    own: np.ndarray,
    groups: np.ndarray,
    odds: float,
    permutations: int,
    seed: int,
) -> list[PairDifference]:
    """Differences of two classes at every place of their images; none where there are too few relabellings.

    Args:
        contributions: by model, of the contrast of the class with the other, for the n images of both.
        own: (n,) bool, images of the class.
        groups: (n,) integers.
        odds: of a place's share, over the odds of its area, beyond which the surplus begins.
        permutations: relabellings and flips of signs of each test.
        seed: of those.
    """
    labels = np.where(own, 0, 1)
    design = design_of(labels, groups)
    p_values, differences = {}, {}
    for name, each in contributions.items():
        test = place_test(each.values[None], [0], design, groups, permutations, seed)
        if test.p is None:
            return []
        p_values[name], differences[name] = test.p[0], test.difference[0]
    first = next(iter(contributions.values()))
    strong = np.all([_strong(p_values[name], differences[name], odds) for name in p_values], axis=0)
    out = []
    for region, chosen in _places(first.names, first.grid, strong):
        area = 0.0
        share: dict[str, float | None] = {}
        surplus: dict[str, np.ndarray] = {}
        p: dict[str, float] = {}
        for name, each in contributions.items():
            inside = each.area[:, chosen].sum(axis=1)
            area = float(max(inside[own].mean(), inside[~own].mean()))
            values = each.values.astype(np.float64)
            difference = differences[name]
            total = float(difference.sum())
            share[name] = float(difference[chosen].sum()) / total if total > 0 else None
            surplus[name] = values[:, chosen].sum(axis=1) - share_at_odds(np.array(area), odds) * values.sum(axis=1)
            more = difference[chosen].sum() > 0
            p[name] = float(p_values[name][chosen].max()) if more else 1.0
        if area > 0:
            bears = bool(first.area[own][:, chosen].any())
            out.append(PairDifference(region, own, groups, area, p, share, surplus, bears))
    return out


def _strong(p: np.ndarray, difference: np.ndarray, odds: float) -> np.ndarray:
    """Which cells (c,) differ, and hold more than their share of the difference: where all do, that is no place."""
    return (p <= PAIR_ALPHA) & (difference > odds * difference.sum() / len(difference))


def _places(names: Sequence[str], grid: tuple[int, int] | None, strong: np.ndarray) -> list[tuple[str, np.ndarray]]:
    """Name and places of each region, or of each connected patch of strong cells, the largest first."""
    if grid is None:
        return [(name, np.array([i])) for i, name in enumerate(names) if name != "unknown"]
    numbered, count = label(strong.reshape(grid))
    patches = sorted((numbered == i for i in range(1, count + 1)), key=lambda patch: -int(patch.sum()))
    return [(_cells(patch), np.flatnonzero(patch)) for patch in patches]


def _cells(patch: np.ndarray) -> str:
    """Rows and columns of a patch, counted from the upper left from 1: "2 cells, rows 1, columns 2 to 3 of 4 x 4"."""
    spans = [np.flatnonzero(patch.any(axis=axis)) + 1 for axis in (1, 0)]
    rows, columns = (f"{s[0]}" if len(s) == 1 else f"{s[0]} to {s[-1]}" for s in spans)
    count = "1 cell" if patch.sum() == 1 else f"{int(patch.sum())} cells"
    return f"{count}, rows {rows}, columns {columns} of {patch.shape[0]} x {patch.shape[1]}"


FORMAT = 1


def write_differences(study: Study, folder: Path, aligned: bool, permutations: int, seed: int) -> dict[str, Any]:
    """Write the arrays of the differences of each class and the rest; give `differences.json` (docs/results.md).

    They are descriptive: statements rest on each pair of classes by itself (`pair_differences`).

    Args:
        study: models and images.
        folder: of the arrays; has a folder for each model.
        aligned: whether all images show their things at the same place: places are cells then, else regions.
        permutations: relabellings of each test.
        seed: of the relabellings.
    """
    about: dict[str, Any] = {"format": FORMAT, "split": study.split, "aligned": aligned, "permutations": permutations}
    about |= {"alpha": ALPHA, "models": {}, "consensus": None, "reason": None, "no_p_value": None}
    targets = _targets(study)
    if reason := _reason(study, targets, aligned):
        return about | {"reason": reason}
    grid = reduce(common_grid, (target.grid for target in targets.values())) if aligned else None
    found = {
        name: _of_model(study, target, grid, permutations, seed)
        for name, target in tqdm(targets.items(), desc="differences", unit="model", disable=None)
    }
    about["models"] = {name: _describe(study, name, each, folder) for name, each in found.items()}
    about["consensus"] = _consensus(study, found, folder)
    return about | {"no_p_value": _too_few_relabellings(study) or None}


def _targets(study: Study) -> dict[str, Target]:
    """The primary maps of the models that have them of every class."""
    found = {name: open_primary(maps, study.labels, study.primary) for name, maps in study.maps.items()}
    return {name: target for name, target in found.items() if target is not None and target.every_class}


def _reason(study: Study, targets: dict[str, Target], aligned: bool) -> str:
    """Why classes cannot be tested; empty where they can."""
    if not aligned and study.prepared.masks is None:
        return (
            "images are not aligned, and there are no masks: no places that they share; give masks, or set "
            "compare.aligned to true where all images show the same thing at the same place"
        )
    if len(set(study.labels[study.rows])) < len(study.class_names):
        return "a class has no images in the split"
    if not targets:
        count = len(study.class_names)
        what = "CAMs" if study.primary == "cam" else f"maps by {study.primary}"
        return f"no model has {what} of its last layer of all {count} classes (export.every_class_up_to stores them)"
    if not study.additive:
        return (
            f"maps by {study.primary} do not add up to the logits of every model, so that a place's share of the "
            "difference of two classes is not known; CAMs do, of networks with a linear head on pooled feature maps"
        )
    return ""


def _too_few_relabellings(study: Study) -> str:
    """Why no p-value can be given; empty where it can."""
    design = design_of(study.labels[study.rows], study.groups[study.rows])
    if design.allows_a_p_value():
        return ""
    found = f"{np.exp(design.log_relabellings()):.0f} relabellings that keep groups together exist"
    return f"{found}, fewer than {FEWEST_RELABELLINGS}: too few for a p-value"


def _of_model(
    study: Study, target: Target, grid: tuple[int, int] | None, permutations: int, seed: int
) -> ClassDifference:
    """The test of one model, on the cells of a grid or, without one, on the regions of the masks."""
    contributions = {
        k: by_region(target, study.rows, k, study.prepared.masks)
        if grid is None
        else by_cell(target, study.rows, k, grid)
        for k in tested_classes(len(study.class_names))
    }
    return difference(contributions, study.labels[study.rows], study.groups[study.rows], permutations, seed)


def _describe(study: Study, name: str, found: ClassDifference, folder: Path) -> dict[str, Any]:
    """One model's entry; its arrays are written."""
    labels, test = study.labels[study.rows], found.test
    cells = found.contributions[0].grid
    out: dict[str, Any] = {"places": "cells" if cells else "regions", "permutations": test.permutations, "classes": {}}
    if cells:
        arrays = {"difference": test.difference, "t": test.t} | ({} if test.p is None else {"p": test.p})
        out["arrays"] = {key: _save(folder, f"{name}/difference.{key}.npy", v, cells) for key, v in arrays.items()}
        out["rows"] = [study.class_names[k] for k in found.classes]
    for row, k in enumerate(found.classes):
        images = int((labels == k).sum())
        entry = {"images": images, "rest": len(labels) - images, "difference": float(test.difference[row].sum())}
        figures = {"cells": found_cells(found, row)} if cells else {"regions": by_place(found, row)}
        out["classes"][study.class_names[k]] = entry | figures
    return out


def _consensus(study: Study, found: dict[str, ClassDifference], folder: Path) -> dict[str, Any] | None:
    """Places at which all models, and at which most of them, differ the same way; None where they share no places."""
    tests = {name: each.test for name, each in found.items() if each.test.p is not None}
    if len(tests) < 2:
        return None
    names = list(tests)
    p, t = (np.stack([getattr(test, key) for test in tests.values()]) for key in ("p", "t"))
    most = len(names) // 2 + 1
    out: dict[str, Any] = {"models": names, "wording": f"in these {len(names)} models, over images", "most": most}
    values = {"all": directed_consensus(p, t, len(names))[0], "at_least": directed_consensus(p, t, most)[0]}
    without = {
        name: int(
            (directed_consensus(np.delete(p, i, axis=0), np.delete(t, i, axis=0), len(names) - 1)[0] <= ALPHA).sum()
        )
        for i, name in enumerate(names)
    }
    counts = {
        f"places_of_{key}": int((values[which] <= ALPHA).sum()) for key, which in (("all", "all"), ("most", "at_least"))
    }
    out |= counts | {"places_without": without}
    first = found[names[0]]
    cells = first.contributions[0].grid
    classes = [study.class_names[k] for k in first.classes]
    if cells:
        return out | {"arrays": {key: _save(folder, f"consensus.{key}.npy", v, cells) for key, v in values.items()}}
    regions = first.contributions[0].names
    table = {key: dict(zip(classes, ([float(x) for x in row] for row in v), strict=True)) for key, v in values.items()}
    return out | {"regions": list(regions), "p": table}


def _save(folder: Path, file: str, values: np.ndarray, grid: tuple[int, int]) -> str:
    """Save (R, h * w) values as (R, h, w) float32; give the file's name."""
    np.save(folder / file, values.reshape(-1, *grid).astype(np.float32))
    return file
