"""Finished results, made up in seconds: the files that the report reads, in the layout of docs/results.md."""

import importlib.util
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click import Command

from tests.report.fake_results import write_comparison, write_model
from wheretolook.base.files import sha256_of, write_json
from wheretolook.base.prepared import load_prepared
from wheretolook.mapstore.store import EVERY_CLASS_UP_TO, load_maps, map_classes_of
from wheretolook.report import drawing, write
from wheretolook.report.gallery import make_gallery
from wheretolook.report.loaded import load_results
from wheretolook.report.page_data import page_data
from wheretolook.report.site import page_of

STAGE = Path(__file__).parents[2] / "stages/report.py"
SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class World:
    """What the files say, for a test to hold the report against."""

    root: Path
    names: tuple[str, ...]
    class_names: tuple[str, ...]
    layers: tuple[str, ...]
    labels: np.ndarray  # (N,) int64
    split: np.ndarray  # (N,) str
    spots: np.ndarray  # (N, 2) float, row and column of each image's evidence, 0 to 1


def write_world(
    root: Path,
    names: Sequence[str] = ("last-0", "last-1", "every-0", "every-1"),
    class_names: Sequence[str] = ("infected", "uninfected"),
    per_class: int = 20,
    size: int = 56,
    grids: Sequence[int] = (28, 14, 7),
    masks: bool = True,
    blind: bool = False,
) -> World:
    """Write data/, reports/ as the stages before the report leave them; half of the images are in the test split."""
    rng = np.random.default_rng(7)
    labels = np.repeat(np.arange(len(class_names)), per_class)
    split = np.tile(["test", "train", "test", "val"], len(labels))[: len(labels)]
    layers = tuple(f"block{i + 1}" for i in range(len(grids)))
    world = World(
        root, tuple(names), tuple(class_names), layers, labels, split, rng.uniform(0.3, 0.7, (len(labels), 2))
    )
    data_sha = _write_prepared(world, size, masks, rng)
    for number, name in enumerate(names):
        maps, logits, heads = _maps_of(world, name, grids, np.random.default_rng(100 + number))
        if blind:  # a method that knows no classes
            maps["eigencam", layers[-1]] = np.abs(maps["cam", layers[-1]][:, :1])
        _write_cams(world, name, number, maps, logits, heads, data_sha)
        write_model(world, name, number, maps, logits, heads, masks, data_sha)
    write_comparison(world, size)
    trained = [name for name in names if not name.startswith("drive")]
    drive = [name for name in names if name.startswith("drive")]
    write_json(root / "reports/names.json", {"models": list(names), "trained": trained, "drive": drive})
    write_json(root / "reports/parameters.json", made_parameters(trained))
    return world


def made_parameters(trained: Sequence[str]) -> dict[str, dict]:
    """The values of params.yaml, a few of each section."""
    models = {name: {"loss": name.split("-")[0], "seed": number} for number, name in enumerate(trained)}
    sections: dict[str, dict] = {name: {} for name in ("prepare", "drive", "sync", "score", "compare", "report")}
    fetch = {"source": "folder", "path": "images", "masks": ""}
    export = {"methods": ["cam", "gradcam"], "layers": "all"}
    return sections | {"fetch": fetch, "train": {"epochs": 7, "augment": True}, "models": models, "export": export}


def blob(centre: np.ndarray, size: int, width: float) -> np.ndarray:
    """(N, size, size) float32: a Gaussian of each image at its centre (rows, columns; 0 to 1)."""
    at = (np.arange(size) + 0.5) / size
    down = np.exp(-0.5 * ((at[None] - centre[:, :1]) / width) ** 2)
    across = np.exp(-0.5 * ((at[None] - centre[:, 1:]) / width) ** 2)
    return (down[:, :, None] * across[:, None, :]).astype(np.float32)


def _write_prepared(world: World, size: int, masks: bool, rng: np.random.Generator) -> str:
    folder = world.root / "data/prepared"
    folder.mkdir(parents=True)
    count = len(world.labels)
    cell = blob(np.full((count, 2), 0.5), size, 0.3)[..., None] > 0.4
    spot = blob(world.spots, size, 0.06)[..., None] * (world.labels == 0)[:, None, None, None]
    images = (
        np.where(cell, [218, 160, 168], [12, 10, 14]) - spot * [90, 110, 20] + rng.normal(0, 4, (count, size, size, 3))
    )
    np.save(folder / "images.npy", images.clip(0, 255).astype(np.uint8))
    if masks:
        np.save(folder / "masks.npy", np.where(spot[..., 0] > 0.5, 2, cell[..., 0]).astype(np.uint8))
    of_class = [world.class_names[label] for label in world.labels]
    index = pd.DataFrame(
        {
            "image_id": [f"{name}/{row:04d}.png" for row, name in enumerate(of_class)],
            "class_name": of_class,
            "class_index": world.labels,
            "split": world.split,
            "group": "",
            "width": size,
            "height": size,
            "sha256": [f"{row:064x}" for row in range(count)],
        }
    )
    index.to_csv(folder / "index.csv", index=False, lineterminator="\n")
    _write_audit(world, folder, size, of_class)
    return load_prepared(folder).sha256


def _write_audit(world: World, folder: Path, size: int, of_class: list[str]) -> None:
    pair = [f"{of_class[0]}/0000.png", f"{of_class[0]}/0001.png"]
    splits = dict.fromkeys(SPLITS, 0)
    nothing = {"sets": 0, "images": 0, "splits": splits, "examples": []}
    copies = {"sets": 1, "images": 2, "splits": splits | {"test": 1, "train": 1}, "examples": [pair]}
    counts = {name: of_class.count(name) for name in world.class_names}
    by_split = {
        name: {split: int(((world.labels == k) & (world.split == split)).sum()) for split in SPLITS}
        for k, name in enumerate(world.class_names)
    }
    share = 1 / len(counts)
    audit = {
        "class_names": list(world.class_names),
        "images": len(of_class),
        "files": len(of_class),
        "classes": {
            name: {"files": count, "unreadable": 0, "images": count, "splits": by_split[name]}
            for name, count in counts.items()
        },
        "splits": {
            split: {
                "images": int((world.split == split).sum()),
                "groups": 0,
                "class_share": dict.fromkeys(counts, share),
            }
            for split in SPLITS
        },
        "unreadable": [],
        "dropped_classes": {},
        "ignored": {"count": 0, "examples": []},
        "duplicates": copies,
        "conflicts": {**nothing, "certain_errors": splits},
        "near_copies": {
            **copies,
            "compared": len(of_class),
            "units": [[0, 1]],
            "of_trained": {"splits": {"val": 0, "test": 0}, "examples": []},
            "across_groups": nothing,
            "two_labels": nothing,
        },
        "groups": None,
        "sizes": {side: {"least": size, "median": size, "most": size} for side in ("width", "height")},
        "prepared": {"size": size, "fit": "stretch"},
        "masks": None,
        "sha256": {path.name: sha256_of(path) for path in sorted(folder.iterdir())},
    }
    write_json(folder / "audit.json", audit)


def _maps_of(world: World, name: str, grids: Sequence[int], rng: np.random.Generator) -> tuple[dict, np.ndarray, list]:
    """Maps that look at the evidence of class 0, with noise of each layer and seed; logits are their means."""
    count, classes = len(world.labels), len(world.class_names)
    heads = list(world.layers) if name.startswith("every") else [world.layers[-1]]
    maps = {}
    for layer, grid in zip(world.layers, grids, strict=True):
        depth = 0.4 + 0.6 * (world.layers.index(layer) / max(1, len(grids) - 1))
        shape = blob(world.spots, grid, 0.14) * (world.labels == 0)[:, None, None] * 60 * depth - 1.2
        sign = np.where(np.arange(classes) == 0, 1, -1)[None, :, None, None]
        # What speaks for one class speaks against the others, as in a trained network.
        noise = sign * _speckles(rng, count, grid) * 1.5 / depth
        noise = noise + rng.normal(0, 0.1 / depth, (count, classes, grid, grid))
        maps["gradcam", layer] = (shape[:, None] * sign / 8 + noise / 8).astype(np.float32)
        if layer in heads:
            maps["cam", layer] = (shape[:, None] * sign + noise).astype(np.float32)
    # Each model but the fourth sees some test images the wrong way round.
    number = world.names.index(name)
    for array in maps.values() if number != 3 else ():
        array[2 * number :: 12] *= -1
    logits = np.stack([maps["cam", layer].mean((2, 3)) for layer in heads], axis=1)
    return maps, logits.astype(np.float32), heads


def _speckles(rng: np.random.Generator, count: int, grid: int) -> np.ndarray:
    """(N, 1, grid, grid): noise whose neighbours are alike, as in maps of real networks."""
    coarse = -(-grid // 4)
    return rng.normal(size=(count, 1, coarse, coarse)).repeat(4, axis=2).repeat(4, axis=3)[:, :, :grid, :grid]


def _write_cams(
    world: World, name: str, number: int, maps: dict, logits: np.ndarray, heads: list, data_sha: str
) -> None:
    folder = world.root / "data/cams" / name
    folder.mkdir(parents=True)
    arrays = {}
    pair = len(world.class_names) > EVERY_CLASS_UP_TO
    columns = np.stack([world.labels, logits[:, -1].argmax(axis=1)], axis=1)[:, :, None, None]
    for (method, layer), array in maps.items():
        knows_class = array.shape[1] > 1
        if pair and knows_class:
            mean = array.mean(axis=1, keepdims=True)
            array = np.concatenate([np.take_along_axis(array, columns, axis=1), mean], axis=1)
        file = f"{method}.{layer}.npy"
        np.save(folder / file, array)
        arrays[file] = {"method": method, "layer": layer, "shape": list(array.shape), "units": "logits"}
        arrays[file]["knows_class"] = knows_class
    np.save(folder / "logits.npy", logits)
    arrays["logits.npy"] = {"shape": list(logits.shape), "units": "logits"}
    for file, entry in arrays.items():
        entry |= {"dtype": "float32", "sha256": sha256_of(folder / file)}
    manifest = {
        "format": 1,
        "model": {
            "name": name,
            "sha256": f"{number + 1:064x}",
            "architecture": "looknet",
            "loss": name.split("-")[0],
            "seed": number % 2,
            "recipe": f"of {name.split('-')[0]}",
        },
        "data": {"sha256": data_sha, "images": len(world.labels)},
        "class_names": list(world.class_names),
        "map_classes": list(map_classes_of(world.class_names)),
        "layers": list(world.layers),
        "heads": heads,
        "precision": "float32",
        "arrays": arrays,
    }
    write_json(folder / "manifest.json", manifest)
    write_json(world.root / "reports/exports" / f"{name}.json", manifest)


def read(path: Path) -> dict:
    """JSON of a file."""
    return json.loads(path.read_text(encoding="utf-8"))


def write_report(root: Path, images: int = 20, cells: int = 28, figures: str = "none") -> str:
    """Run the report stage over made-up results, and give what it says.

    Figures take most of its time: "none" leaves them out, "png" writes no PDF, "all" is what a user gets.
    """
    from click.testing import CliRunner

    with drawing_only(figures):
        done = CliRunner().invoke(load_stage(), stage_options(root, images, cells), catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


@contextmanager
def drawing_only(figures: str) -> Iterator[None]:
    """Draw no figures in the block, or no PDF of them, as in `write_report`."""
    with pytest.MonkeyPatch.context() as patch:
        if figures == "none":
            patch.setattr(write, "draw_figures", lambda folder, *_: None)
        if figures != "all":
            patch.setattr(drawing, "save_vectors", lambda figure, path: None)
        yield


def stage_options(root: Path, images: int = 20, cells: int = 28) -> list[str]:
    """The stage's options, with every path under `root`."""
    values = {
        "gallery_images": images,
        "gallery_cells": cells,
        "reports": root / "reports",
        "prepared": root / "data/prepared",
        "cams": root / "data/cams",
        "comparison": root / "data/comparison",
    }
    return [word for name, value in values.items() for word in (f"--{name}", str(value))]


def load_stage() -> Command:
    """The command of stages/report.py."""
    spec = importlib.util.spec_from_file_location("report_stage", STAGE)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.report


def page_html(root: Path, images: int = 20, cells: int = 28) -> str:
    """The page alone, of made-up results."""
    results, prepared = load_results(root / "reports", root / "data/prepared"), load_prepared(root / "data/prepared")
    maps = {name: load_maps(root / "data/cams" / name) for name in results.names}
    gallery = make_gallery(maps, prepared.labels, prepared.rows(results.split), images)
    return page_of(results, maps, page_data(results, prepared, maps, gallery, root / "data/comparison", cells))
