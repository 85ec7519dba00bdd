"""A study run from params.yaml to the page, stage after stage in this process, on a few small images."""

import csv
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from click.testing import CliRunner
from PIL import Image
from ruamel.yaml import YAML

from tests.pipeline.code_dependencies import ROOT
from wheretolook.project.params_file import arguments

SIDE, SQUARE = 32, 8
SMALL: dict[str, dict[str, Any]] = {
    "prepare": {"size": SIDE, "mask_values": "0:background,255:evidence"},
    "train": {"width": 8, "depth": 2, "epochs": 12, "batch_size": 16, "learning_rate": 0.02, "augment": "flip+turn"},
    "export": {"methods": ["cam"], "random_draws": 0},
    "score": {"faithfulness_images": 0, "sanity_draws": 0, "resamples": 199},
    "compare": {"resamples": 199, "permutations": 199},
    "report": {"gallery_images": 8, "gallery_cells": 8},
}


@dataclass(frozen=True)
class Picture:
    """A picture of grey noise with coloured squares.

    Attributes:
        squares: corner (row, column) and colour of each.
        cells: of its row in the table of labels.
        evidence: the square that its mask marks; None for an empty mask.
    """

    squares: Sequence[tuple[tuple[int, int], tuple[int, int, int]]]
    cells: dict[str, str]
    evidence: int | None = None


def write_pictures(folder: Path, pictures: Sequence[Picture], seed: int = 0) -> None:
    """Write images/N.png, masks/N.png and images/table.csv, with a group for each picture."""
    rng = np.random.default_rng(seed)
    for kind in ("images", "masks"):
        (folder / kind).mkdir(parents=True)
    with (folder / "images/table.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["file", *pictures[0].cells])
        for number, picture in enumerate(pictures):
            image = rng.integers(90, 130, (SIDE, SIDE, 3), dtype=np.uint8)
            mask = np.zeros((SIDE, SIDE), np.uint8)
            for i, ((row, column), colour) in enumerate(picture.squares):
                image[row : row + SQUARE, column : column + SQUARE] = colour
                if i == picture.evidence:
                    mask[row : row + SQUARE, column : column + SQUARE] = 255
            Image.fromarray(image).save(folder / f"images/{number:04}.png")
            Image.fromarray(mask).save(folder / f"masks/{number:04}.png")
            writer.writerow([f"{number:04}.png", *picture.cells.values()])


def write_params(models: dict[str, dict[str, Any]], fetch: dict[str, Any], **sections: dict[str, Any]) -> None:
    """The project's params.yaml with small values, into the current folder."""
    params = YAML(typ="safe").load(ROOT / "params.yaml")
    for section, values in SMALL.items():
        params[section] |= values | sections.get(section, {})
    params["models"] = models
    params["fetch"] = {"source": "folder", "path": "source/images", "masks": "source/masks"} | fetch
    YAML().dump(params, Path("params.yaml"))


def run_study(patch: Callable[[str, Any], None], until: str = "report") -> None:
    """Run every stage of params.yaml in the current folder. Figures are not drawn, which takes the longest.

    Args:
        patch: as `monkeypatch.setattr` with a path.
        until: the last stage.
    """
    patch("wheretolook.report.write.draw_figures", lambda *arguments: None)
    params = YAML(typ="safe").load(Path("params.yaml"))
    stages: list[tuple[str, list[str]]] = [("check", [])]
    stages += [(name, arguments(params[name])) for name in ("fetch", "prepare")]
    models = params["models"]
    stages += [("train", [name, *arguments(params["train"] | own)]) for name, own in models.items()]
    stages += [(stage, [name, *arguments(params[stage])]) for stage in ("export", "score") for name in models]
    stages += [(name, arguments(params[name])) for name in ("compare", "report")]
    for stage, words in stages:
        command = getattr(import_module(f"stages.{stage}"), stage)
        done = CliRunner().invoke(command, words, catch_exceptions=False)
        assert done.exit_code == 0, f"{stage} {words}: {done.output}"
        if stage == until:
            return


def read(path: str) -> Any:
    return json.loads(Path(path).read_text(encoding="utf-8"))


def sent_and_back(name: str) -> str:
    """Share a trained model, import it again as NAME-back, and export that; gives its name."""
    from tests.importing.forked import forked_quarantine
    from wheretolook.base.files import sha256_of
    from wheretolook.cli.project_commands import share

    path, back = f"models/{name}.safetensors", f"{name}-back"
    told = CliRunner().invoke(share, [path], catch_exceptions=False)
    assert told.exit_code == 0 and f"sha256: {sha256_of(Path(path))}" in told.output
    params = YAML(typ="safe").load(Path("params.yaml"))
    words = {"sync": ["--url", path, "--sha256", sha256_of(Path(path))], "export": arguments(params["export"])}
    for stage, options in words.items():
        with forked_quarantine():
            command = getattr(import_module(f"stages.{stage}"), stage)
            done = CliRunner().invoke(command, [back, *options], catch_exceptions=False)
        assert done.exit_code == 0, done.output
    return back
