"""The made-up results of `score` and `compare`: figures are drawn, not measured, unless a test needs them true."""

from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from tests.report.fake_study import curves, estimated, faithfulness, groups, sanity, write_differences, write_statements
from wheretolook.analysis.classes.overlays import difference_maps
from wheretolook.analysis.explained import Target
from wheretolook.analysis.results.comparison_result import ALL_CLASSES, FIGURE_COLUMNS, KEYS
from wheretolook.base.files import write_json
from wheretolook.mapstore.store import EVERY_CLASS_UP_TO

NULLS = ("other", "centre", "mean_map", "random")


def write_model(
    world: Any, name: str, number: int, maps: dict, logits: np.ndarray, heads: list, masks: bool, data_sha: str
) -> None:
    """reports/models/NAME.json: accuracy and confusion are true of the logits, the rest is drawn."""
    rng = np.random.default_rng(number)
    result = {
        "format": 1,
        "name": name,
        "model": {
            "architecture": "looknet",
            "arguments": {"width": 16, "depth": len(world.layers)},
            "loss": name.split("-")[0],
            "seed": number % 2,
            "sha256": f"{number + 1:064x}",
            "layers": list(world.layers),
            "heads": heads,
            "trained_on": data_sha,
            "training": {} if name.startswith("drive") else {"epochs": 8, "augment": True, "seed": number % 2},
        },
        "class_names": list(world.class_names),
        "layers": list(world.layers),
        "heads": heads,
        "history": [_epoch(epoch, heads, rng) for epoch in range(1, 9)],
        "splits": {split: _split(world, split, logits, heads) for split in ("train", "val", "test")},
        "groups": groups("evidence" if masks else "foreground"),
        "localisation": _localisation(world, maps, rng) if masks else None,
        "foreground_estimated": None if masks else estimated(world, maps),
        "faithfulness": faithfulness(world),
        "sanity": sanity(world, maps),
        "curves": curves(world, maps) if number == 0 else None,
    }
    write_json(world.root / "reports/models" / f"{name}.json", result)


def _epoch(epoch: int, heads: list, rng: np.random.Generator) -> dict[str, Any]:
    loss = 0.7 * np.exp(-epoch / 3) + rng.uniform(0.01, 0.05)
    accuracy = 1 - 0.5 * np.exp(-epoch / 2)
    figures = {"train_loss": loss * 0.9, "val_loss": loss, "train_accuracy": accuracy, "val_accuracy": accuracy}
    return {"epoch": epoch, **figures, "layers": {h: {"val_loss": loss, "val_accuracy": accuracy} for h in heads}}


def _split(world: Any, split: str, logits: np.ndarray, heads: list) -> dict[str, Any]:
    rows = np.flatnonzero(world.split == split)
    actual, predicted = world.labels[rows], logits[rows, -1].argmax(1)
    count = len(world.class_names)
    confusion = np.zeros((count, count), int)
    np.add.at(confusion, (actual, predicted), 1)
    recall = confusion.diagonal() / confusion.sum(1)
    balanced = float(recall.mean())
    return {
        "images": len(rows),
        "accuracy": float((actual == predicted).mean()),
        "balanced_accuracy": balanced,
        "balanced_accuracy_low": max(0.0, balanced - 0.04),
        "balanced_accuracy_high": min(1.0, balanced + 0.02),
        "auroc": 0.98,
        "ece": 0.021,
        "brier": 0.03,
        "log_loss": 0.12,
        "confusion": confusion.tolist(),
        "classes": {
            name: {"images": int(confusion[k].sum()), "recall": float(recall[k]), "precision": 0.95}
            for k, name in enumerate(world.class_names)
        },
        "heads": {head: {"accuracy": 0.9, "log_loss": 0.2} for head in heads},
    }


def _localisation(world: Any, maps: dict, rng: np.random.Generator) -> dict[str, Any]:
    def figures() -> dict[str, Any]:
        energy = float(rng.uniform(0.3, 0.5))
        return {
            "images": 10,
            "evidence_images": 10,
            "mark_images": 0,
            "foreground_images": 10,
            "no_positive": 0,
            "area_share": 0.03,
            "energy": energy,
            "energy_low": energy - 0.05,
            "energy_high": energy + 0.05,
            "energy_ratio": energy / 0.03,
            "energy_ceiling": 0.8,
            "shared_images": 10,
            "shared_energy": energy,
            "shared_area_share": 0.03,
            "shared_ceiling": 0.8,
            "negative_energy": 0.01,
            "pointing": 0.9,
            "pointing_by_area": 0.11,
            "centre_energy": 0.05,
            "centre_pointing": 0.2,
            "iou": 0.3,
            "iou_threshold": 0.5,
            "pixel_auroc": 0.95,
            "average_precision": 0.6,
            "mark_area_share": None,
            "mark_energy": None,
            "mark_ratio": None,
            "mark_energy_low": None,
            "mark_energy_high": None,
            "foreground_area_share": 0.5,
            "foreground_energy": 0.8,
            "foreground_ratio": 1.6,
        }

    # Only the first class has evidence, as parasites have.
    first = world.class_names[0]
    return {
        f"{method}.{layer}": {split: {first: figures()} for split in ("train", "val", "test")} for method, layer in maps
    }


def write_comparison(world: Any, size: int) -> None:
    """reports/comparison/ and data/comparison/: the overlays are true of the maps, the agreement is drawn."""
    pairs = [
        {"model_a": a, "model_b": b, "kind": "seeds" if a.split("-")[0] == b.split("-")[0] else "recipes"}
        for a, b in combinations(world.names, 2)
    ]
    rows = [row for pair in pairs for row in _agreement(world, pair)]
    folder = world.root / "reports/comparison"
    folder.mkdir(parents=True)
    pd.DataFrame(rows, columns=[*KEYS, *FIGURE_COLUMNS]).to_csv(
        folder / "agreement.csv", index=False, lineterminator="\n"
    )
    primary = [row for row in rows if row["primary"] == 1]
    write_json(
        folder / "agreement.json",
        {"format": 1, "split": "test", "models": list(world.names), "pairs": pairs, "rows": primary}
        | {"rows_train": [row | {"split": "train", "mean": 0.99} for row in primary if row["figure"] == "pearson"]},
    )
    _write_overlays(world)
    write_statements(world)
    write_differences(world)


def _agreement(world: Any, pair: dict[str, str]) -> list[dict[str, Any]]:
    rng = np.random.default_rng(sum(map(ord, pair["model_a"] + pair["model_b"])))
    last, rows = world.layers[-1], []
    for method, layer in [("cam", last), *(("gradcam", layer) for layer in world.layers)]:
        for class_name in (*world.class_names, ALL_CLASSES):
            for figure in ("pearson", "spearman", "iou") if method == "cam" else ("pearson",):
                mean = float(rng.uniform(0.75, 0.95) if class_name != "uninfected" else rng.uniform(0.2, 0.5))
                row = {
                    **pair,
                    "primary": int(method == "cam"),
                    "method": method,
                    "layer_a": layer,
                    "layer_b": layer,
                    "split": "test",
                    "class_name": class_name,
                    "subset": "all",
                    "figure": figure,
                    "images": 10,
                    "groups": 4,
                    "group_lowest": 0.5,
                    "group_highest": 0.9,
                    "group_sd": 0.1,
                    "left_out": 0,
                    "mean": mean,
                    "sd": 0.1,
                    "low": mean - 0.04,
                    "high": mean + 0.03,
                }
                for null, value in zip(NULLS, (0.15, 0.3, 0.2, None), strict=True):
                    row[null] = value
                    row[f"excess_{null}"] = None if value is None else mean - value
                    row[f"excess_{null}_low"] = None if value is None else mean - value - 0.05
                    row[f"excess_{null}_high"] = None if value is None else mean - value + 0.05
                rows.append(row)
    return rows


def _write_overlays(world: Any) -> None:
    root, folder = world.root, world.root / "data/comparison"
    folder.mkdir(parents=True)
    images = np.load(root / "data/prepared/images.npy")
    by_class = [np.flatnonzero((world.split == "test") & (world.labels == k)) for k in range(len(world.class_names))]

    def stacked(array: np.ndarray, statistic: Any) -> np.ndarray:
        return np.stack([statistic(array[rows].astype(np.float64)) for rows in by_class]).astype(np.float32)

    def spread(array: np.ndarray) -> np.ndarray:
        return array.std(axis=0, ddof=1)

    def mean(array: np.ndarray) -> np.ndarray:
        return array.mean(axis=0)

    np.save(folder / "images.mean.npy", stacked(images, mean))
    np.save(folder / "images.spread.npy", stacked(images, spread))
    models: dict[str, Any] = {}
    for name in world.names:
        (folder / name).mkdir()
        models[name] = {}
        for file in sorted((root / "data/cams" / name).glob("*.*.npy")):
            method, layer = file.stem.split(".")
            maps = np.load(file)
            contrast = maps[:, 0]
            if maps.shape[1] > 1 and len(world.class_names) <= EVERY_CLASS_UP_TO:
                true = maps[np.arange(len(maps)), world.labels]
                contrast = true - (maps.sum(1) - true) / (maps.shape[1] - 1)
            entry = {"method": method, "layer": layer, "shape": [len(by_class), *maps.shape[2:]]}
            for kind, statistic in (("mean", mean), ("spread", spread)):
                entry[kind] = f"{name}/{method}.{layer}.{kind}.npy"
                np.save(folder / entry[kind], stacked(contrast, statistic))
            entry["difference"] = None
            entry["contrast"] = maps.shape[1] > 1 and len(world.class_names) <= EVERY_CLASS_UP_TO
            if len(world.class_names) <= EVERY_CLASS_UP_TO:
                entry["difference"] = f"{name}/{method}.{layer}.difference.npy"
                target = Target(maps, world.labels, True, maps.shape[1] > 1)
                np.save(folder / entry["difference"], difference_maps(target, by_class, range(len(by_class))))
            entry["rms"] = float(np.sqrt((contrast[world.split == "test"] ** 2).mean()))
            models[name][f"{method}.{layer}"] = entry
    write_json(
        root / "reports/comparison/overlays.json",
        {
            "format": 1,
            "split": "test",
            "class_names": list(world.class_names),
            "classes": list(world.class_names),
            "counts": {name: len(rows) for name, rows in zip(world.class_names, by_class, strict=True)},
            "images": {"mean": "images.mean.npy", "spread": "images.spread.npy"},
            "models": models,
        },
    )
