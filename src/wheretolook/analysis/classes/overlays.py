"""Classes over each other: mean and spread of N maps, and of the images behind them ("100 men")."""

from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from wheretolook.analysis.agreement.study import Study
from wheretolook.analysis.classes.apart import apart_maps
from wheretolook.analysis.maps.blocks import row_blocks
from wheretolook.analysis.maps.moments import RunningMoments
from wheretolook.analysis.maps.target import Target, open_target

FORMAT = 1
FEWEST = 2  # images of a class that have a spread


def write_overlays(study: Study, folder: Path) -> dict[str, Any]:
    """Write the arrays of `data/comparison/`, and give `overlays.json` (docs/results.md).

    Args:
        study: the models and images.
        folder: an empty folder.
    """
    labels = study.labels[study.rows]
    counts = {name: int((labels == k).sum()) for k, name in enumerate(study.class_names)}
    # Where no class has a spread, means alone: of so few images much else can be said, and is.
    fewest = min(FEWEST, max(counts.values()))
    indices = [k for k, count in enumerate(counts.values()) if count >= fewest]
    rows_of = [study.rows[labels == k] for k in indices]
    images = [moments_of_images(study.prepared.images, rows) for rows in rows_of]
    about = {"images": save_moments(folder, "images", images), "models": {}}
    for name, maps in tqdm(study.maps.items(), desc="overlays", unit="model", disable=None):
        (folder / name).mkdir()
        about["models"][name] = {}
        for method, layer in maps.names:
            target = open_target(maps, method, layer, study.labels)
            moments = [moments_of_maps(target, rows) for rows in rows_of]
            apart = apart_maps(target, rows_of, indices)
            if apart is not None:
                np.save(folder / f"{name}/{method}.{layer}.apart.npy", apart)
            about["models"][name][f"{method}.{layer}"] = {
                "method": method,
                "layer": layer,
                "shape": [len(rows_of), *target.grid],
                "contrast": target.contrasted,
                "rms": target.rms(study.rows),
                "apart": None if apart is None else f"{name}/{method}.{layer}.apart.npy",
                **save_moments(folder, f"{name}/{method}.{layer}", moments),
            }
    kept = [name for name, count in counts.items() if count >= fewest]
    names = list(study.class_names)
    return {"format": FORMAT, "split": study.split, "class_names": names, "classes": kept, "counts": counts, **about}


def moments_of_maps(target: Target, rows: np.ndarray) -> RunningMoments:
    """Mean and spread of the true-class contrasts of some images, streamed."""
    moments = RunningMoments(target.grid)
    for block in row_blocks(rows, 12 * int(np.prod(target.array.shape[1:]))):
        moments.add(target.true_class(block))
    return moments


def moments_of_images(images: np.ndarray, rows: np.ndarray) -> RunningMoments:
    """Mean and spread of some images (N, S, S, 3) uint8, streamed."""
    moments = RunningMoments(images.shape[1:])
    for block in row_blocks(rows, 16 * int(np.prod(images.shape[1:]))):
        moments.add(images[block])
    return moments


def save_moments(folder: Path, stem: str, moments: list[RunningMoments]) -> dict[str, str | None]:
    """Save the means and spreads of the classes, a row each, float32; give their file names.

    The spread is None where a class has too few images for one.
    """
    spread = all(each.count >= FEWEST for each in moments)
    files = {key: f"{stem}.{key}.npy" if key == "mean" or spread else None for key in ("mean", "spread")}
    for key, file in files.items():
        if file:
            np.save(folder / file, np.stack([getattr(each, key)() for each in moments]))
    return files
