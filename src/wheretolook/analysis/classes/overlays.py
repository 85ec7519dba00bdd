"""Mean and spread of the images and maps of each class, and differences of mean maps: `overlays.json`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from wheretolook.analysis.agreement.study import Study
from wheretolook.analysis.explained import Target, checked, contrast, open_target
from wheretolook.analysis.grid import RunningMoments, row_blocks


def difference_maps(target: Target, rows_of: Sequence[np.ndarray], classes: Sequence[int]) -> np.ndarray | None:
    """Mean contrast map of a class over its own images, less the mean of the same contrast over all others' images.

    Maps of each image's own class would not do: over the rest they are maps of other classes.

    Args:
        target: the maps.
        rows_of: for each class that is looked at, its images, (n,) int64.
        classes: index of each of those classes.

    Returns:
        (C, h, w) float32, a row for each class, of two classes the first alone, as the other is its negative. None for
        one class, and where maps of one class are not stored for every image.
    """
    if len(classes) < 2 or (target.knows_class and not target.every_class):
        return None
    counts = np.array([len(rows) for rows in rows_of])
    means = np.stack([_mean(target, rows) for rows in rows_of])  # (C, K, h, w)
    out = []
    for i, k in enumerate(classes if len(classes) > 2 else classes[:1]):
        # The contrast is linear: that of a mean is the mean of contrasts.
        of_class = contrast(means, k) if target.knows_class else means[:, 0]
        rest = np.arange(len(counts)) != i
        out.append(of_class[i] - np.average(of_class[rest], axis=0, weights=counts[rest]))
    return checked(np.stack(out).astype(np.float32), target.file)


def _mean(target: Target, rows: np.ndarray) -> np.ndarray:
    """Mean of the raw maps of some images, (K, h, w) float64, streamed."""
    total = np.zeros(target.array.shape[1:])
    for block in row_blocks(rows, 4 * int(np.prod(target.array.shape[1:]))):
        total += np.asarray(target.array[block]).sum(axis=0, dtype=np.float64)
    return total / len(rows)


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
    # Where no class has a spread, means alone: so few images are reported elsewhere.
    fewest = min(FEWEST, max(counts.values()))
    indices = [k for k, count in enumerate(counts.values()) if count >= fewest]
    rows_of = [study.rows[labels == k] for k in indices]
    images = [moments_of_images(study.prepared.images, rows) for rows in rows_of]
    models: dict[str, dict[str, dict[str, Any]]] = {}
    for name, maps in tqdm(study.maps.items(), desc="overlays", unit="model", disable=None):
        (folder / name).mkdir()
        models[name] = {}
        for method, layer in maps.names:
            target = open_target(maps, method, layer, study.labels)
            moments = [moments_of_maps(target, rows) for rows in rows_of]
            apart = difference_maps(target, rows_of, indices)
            if apart is not None:
                np.save(folder / f"{name}/{method}.{layer}.difference.npy", apart)
            models[name][f"{method}.{layer}"] = {
                "method": method,
                "layer": layer,
                "shape": [len(rows_of), *target.grid],
                "contrast": target.contrasted,
                "rms": target.rms(study.rows),
                "difference": None if apart is None else f"{name}/{method}.{layer}.difference.npy",
                **save_moments(folder, f"{name}/{method}.{layer}", moments),
            }
    kept = [name for name, count in counts.items() if count >= fewest]
    names = list(study.class_names)
    about = {"format": FORMAT, "split": study.split, "class_names": names, "classes": kept, "counts": counts}
    return about | {"images": save_moments(folder, "images", images), "models": models}


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
