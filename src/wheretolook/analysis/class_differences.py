"""How classes differ in every model's primary maps, and the models' consensus: `differences.json` and its arrays."""

from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from wheretolook.analysis.consensus import directed_consensus
from wheretolook.analysis.contributions import by_cell, by_region
from wheretolook.analysis.differences import ALPHA, Difference, by_place, difference, found_cells, tested_classes
from wheretolook.analysis.study import Study
from wheretolook.analysis.target import open_target

FORMAT = 1


def write_differences(study: Study, folder: Path, aligned: bool, permutations: int, seed: int) -> dict[str, Any]:
    """Write the arrays of the differences, and give `differences.json` (docs/results.md).

    Args:
        study: models and images.
        folder: of the arrays; has a folder for each model.
        aligned: whether all images show their things at the same place: places are cells then, else regions.
        permutations: relabellings of each test.
        seed: of the relabellings.
    """
    about: dict[str, Any] = {"format": FORMAT, "split": study.split, "aligned": aligned, "permutations": permutations}
    about |= {"alpha": ALPHA, "models": {}, "consensus": None, "reason": None}
    if not aligned and study.prepared.masks is None:
        return about | {"reason": "images are not aligned, and there are no masks: no places that they share"}
    if len(set(study.labels[study.rows])) < len(study.class_names):
        return about | {"reason": "a class has no images in the split"}
    found = {}
    for name in tqdm(study.names, desc="differences", unit="model", disable=None):
        tested = _of_model(study, name, aligned, permutations, seed)
        if tested is not None:
            found[name] = tested
            about["models"][name] = _describe(study, name, tested, folder)
    about["consensus"] = _consensus(study, found, folder)
    return about


def _of_model(study: Study, name: str, aligned: bool, permutations: int, seed: int) -> Difference | None:
    """The test of one model; None where it has no primary maps of every class."""
    maps = study.maps[name]
    last = maps.manifest["layers"][-1]
    if ("cam", last) not in maps.names:
        return None
    target = open_target(maps, "cam", last, study.labels)
    if not target.every_class:
        return None
    masks = study.prepared.masks
    contributions = {
        k: by_cell(target, study.rows, k) if aligned or masks is None else by_region(target, study.rows, k, masks)
        for k in tested_classes(len(study.class_names))
    }
    return difference(contributions, study.labels[study.rows], study.groups[study.rows], permutations, seed)


def _describe(study: Study, name: str, found: Difference, folder: Path) -> dict[str, Any]:
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


def _consensus(study: Study, found: dict[str, Difference], folder: Path) -> dict[str, Any] | None:
    """Places at which all models, and at which most of them, differ the same way; None where they share no places."""
    tests = {name: each.test for name, each in found.items() if each.test.p is not None}
    shapes = {found[name].contributions[0].grid for name in tests}
    if len(tests) < 2 or len(shapes) > 1:
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
    out |= {"places_of_all": int((values["all"] <= ALPHA).sum()), "places_without": without}
    cells, first = shapes.pop(), found[names[0]]
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
