"""A prepared folder, model cards and maps, made of numpy arrays in the layout that the stages before leave."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from wheretolook.base.files import sha256_of, write_json
from wheretolook.base.prepared import load_prepared
from wheretolook.networks.card import METADATA_KEY, Card, card_to_json

SIZE = 28
GRIDS = {"block1": 14, "block2": 7}
CLASSES = ("infected", "uninfected")


@dataclass(frozen=True)
class Made:
    """Folders of a made-up project, and what went into them."""

    root: Path
    labels: np.ndarray  # (N,) int64
    spots: np.ndarray  # (N, 2) cell of the 7 x 7 grid in which each infected image has its evidence

    @property
    def score_paths(self) -> list[str]:
        return self._options({"models": "models", "prepared": "data/prepared", "cams": "data/cams", "reports": "r"})

    @property
    def compare_paths(self) -> list[str]:
        paths = {"names": "reports/names.json", "exports": "reports/exports", "reports": "reports/comparison"}
        return self._options(
            {
                "prepared": "data/prepared",
                "cams": "data/cams",
                "arrays": "data/comparison",
                "scores": "reports/models",
            }
            | paths
        )

    def _options(self, paths: dict[str, str]) -> list[str]:
        return [word for key, path in paths.items() for word in (f"--{key}", str(self.root / path))]


def make(
    root: Path,
    names: Sequence[str] = ("last-0", "last-1", "every-0"),
    per_class: int = 80,
    groups: int = 0,
    noise: float = 0.08,
    draws: int = 10,
) -> Made:
    """Two classes, half of the images in test; infected ones have a spot of evidence, which every model's maps mark.

    Args:
        root: an empty folder.
        names: of the models; those that begin with "every" have a trained head at each layer.
        per_class: images of each class.
        groups: number of groups over all images; 0: none.
        noise: of the maps, beside a signal of 1.
        draws: random networks whose maps stand beside each model's.
    """
    rng = np.random.default_rng(0)
    labels = np.tile([0, 1], per_class).astype(np.int64)
    made = Made(root, labels, rng.integers(0, 7, (len(labels), 2)))
    write_prepared(made, groups)
    for seed, name in enumerate(names):
        write_model(made, name, seed)
        write_maps(made, name, seed, noise, draws)
    write_json(root / "reports/names.json", {"models": list(names), "trained": list(names), "drive": []})
    return made


def write_prepared(made: Made, groups: int) -> None:
    folder, count = made.root / "data/prepared", len(made.labels)
    folder.mkdir(parents=True)
    rng = np.random.default_rng(1)
    masks = np.zeros((count, SIZE, SIZE), dtype=np.uint8)
    masks[:, 4:24, 4:24] = 1
    for i, (y, x) in enumerate(made.spots):
        if made.labels[i] == 0:
            masks[i, 4 * y : 4 * y + 4, 4 * x : 4 * x + 4] = 2
    np.save(folder / "images.npy", rng.integers(0, 256, (count, SIZE, SIZE, 3), dtype=np.uint8))
    np.save(folder / "masks.npy", masks)
    index = pd.DataFrame(
        {
            "image_id": [f"{CLASSES[k]}/{i:04}.png" for i, k in enumerate(made.labels)],
            "class_name": [CLASSES[k] for k in made.labels],
            "class_index": made.labels,
            "split": np.resize(["test", "test", "train", "val"], count)[rng.permutation(count)],
            "group": [f"P{i % groups}" if groups else "" for i in range(count)],
            "width": SIZE,
            "height": SIZE,
            "sha256": [f"{i:064}" for i in range(count)],
        }
    )
    index.to_csv(folder / "index.csv", index=False, lineterminator="\n")
    hashes = {file.name: sha256_of(file) for file in sorted(folder.iterdir())}
    write_json(folder / "audit.json", {"class_names": list(CLASSES), "sha256": hashes})


def heads_of(name: str) -> list[str]:
    """Layers of a model whose head was trained."""
    return list(GRIDS) if name.startswith("every") else ["block2"]


def write_model(made: Made, name: str, seed: int) -> None:
    loss = name.split("-")[0]
    card = Card(
        architecture="looknet",
        arguments={"width": 16, "depth": 2},
        class_names=CLASSES,
        input_size=SIZE,
        mean=(0.5, 0.5, 0.5),
        std=(0.25, 0.25, 0.25),
        loss=loss,
        layers=tuple(GRIDS),
        trained_heads=tuple(heads_of(name)),
        data={"sha256": load_prepared(made.root / "data/prepared").sha256, "images": 40},
        training={"seed": seed},
        history=[],
    )
    header = json.dumps({"__metadata__": {METADATA_KEY: card_to_json(card)}}).encode()
    (made.root / "models").mkdir(exist_ok=True)
    path = made.root / f"models/{name}.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header)


def signal(made: Made, side: int) -> np.ndarray:
    """(N, side, side) float32: 1 in the cell of an image's spot (infected), a slope otherwise."""
    maps = np.zeros((len(made.labels), side, side), dtype=np.float32)
    for i, (y, x) in enumerate(made.spots):
        scale = side // 7
        if made.labels[i] == 0:
            maps[i, y * scale : (y + 1) * scale, x * scale : (x + 1) * scale] = 1
        else:
            maps[i] = np.roll(np.linspace(0, 1, side, dtype=np.float32), x)[None, :]
    return maps


def write_maps(made: Made, name: str, seed: int, noise: float, draws: int = 10) -> None:
    folder = made.root / "data/cams" / name
    folder.mkdir(parents=True)
    rng = np.random.default_rng(10 + seed)
    arrays = {}
    for layer, side in GRIDS.items():
        true = signal(made, side) + noise * rng.normal(size=(len(made.labels), side, side))
        # The contrast of the true class is the signal with noise; a vector common to both classes must not matter.
        own = np.stack([true, -true], axis=1)[np.arange(len(true))[:, None], made.labels[:, None] ^ np.array([[0, 1]])]
        common = rng.normal(size=(len(true), 1, side, side))
        arrays[f"gradcam.{layer}.npy"] = ((own / 2 + common) / side**2).astype(np.float32)
        if layer in heads_of(name):
            arrays[f"cam.{layer}.npy"] = (own / 2 + common).astype(np.float32)
    sign = np.where(made.labels == 0, 1, -1)
    logits = np.stack([sign, -sign], axis=1) * 1.0 + rng.normal(0, 0.7, (len(sign), 2))
    arrays["logits.npy"] = np.repeat(logits[:, None], len(heads_of(name)), axis=1).astype(np.float32)
    about = {}
    for file, array in arrays.items():
        np.save(folder / file, array)
        method, _, layer = file.removesuffix(".npy").partition(".")
        about[file] = {"shape": list(array.shape), "dtype": "float32", "sha256": sha256_of(folder / file)}
        about[file] |= {"method": method, "layer": layer, "knows_class": True} if layer else {}
    rows = load_prepared(made.root / "data/prepared").rows("test")
    np.save(folder / "random.npy", rng.normal(size=(draws, len(rows), 7, 7)).astype(np.float32))
    about["random.npy"] = {"method": "cam", "layer": "block2", "draws": draws, "rows": rows.tolist()}
    about["random.npy"] |= {"sha256": sha256_of(folder / "random.npy")}
    manifest = {
        "format": 1,
        "model": {
            "name": name,
            "sha256": f"{seed:064}",
            "architecture": "looknet",
            "loss": name.split("-")[0],
            "seed": seed,
            "recipe": f"of {name.split('-')[0]}",
        },
        "data": {"sha256": load_prepared(made.root / "data/prepared").sha256, "images": len(made.labels)},
        "class_names": list(CLASSES),
        "map_classes": list(CLASSES),
        "layers": list(GRIDS),
        "heads": heads_of(name),
        "precision": "float32",
        "arrays": about,
    }
    write_json(folder / "manifest.json", manifest)
    write_json(made.root / "reports/exports" / f"{name}.json", manifest)
