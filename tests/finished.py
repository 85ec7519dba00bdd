"""A finished project, made up in a few seconds: every output of the pipeline, true to each other, and locked by DVC.

No stage has run: what the stages would leave is written by hand, under the project's own dvc.yaml.
"""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import yaml
from PIL import Image
from safetensors.numpy import save_file

from tests.pipeline.code_dependencies import ROOT
from tests.pipeline.project import Project
from tests.report.fake import World, read, write_world
from wheretolook.base.files import sha256_of, write_json, write_text
from wheretolook.base.prepared import load_prepared
from wheretolook.networks.card import METADATA_KEY, Card, card_to_json
from wheretolook.project.dvc_state import read_lock

SIZE = 16
NAMES = ("last-0", "every-0")


def finished_project(
    root: Path, names: Sequence[str] = NAMES, per_class: int = 12, change: Callable[[Path], None] | None = None
) -> Project:
    """A git repository whose outputs are all there, perhaps changed by `change(root)`, and committed to DVC and git."""
    project = Project(root)
    shutil.copytree(ROOT / ".dvc", root / ".dvc", ignore=shutil.ignore_patterns("tmp", "cache", "*.local"))
    for name in (".dvcignore", ".gitignore"):
        shutil.copy(ROOT / name, root / name)
    write_text(root / "dvc.yaml", yaml.safe_dump(without_code((ROOT / "dvc.yaml").read_text(encoding="utf-8"))))
    project.run("git", "init", "-q", "-b", "main")
    write_outputs(root, names, per_class)
    if change:
        change(root)
    commit(project)
    return project


def commit(project: Project) -> None:
    """Lock what stands there now as what the stages wrote, and commit it to git."""
    project.dvc("commit", "--force", "--quiet")
    project.commit("finished")


def without_code(text: str) -> dict:
    """The project's dvc.yaml, whose stages depend on no code: none is in the made-up project."""
    pipeline = yaml.safe_load(text)
    for stage in pipeline["stages"].values():
        body = stage.get("do", stage)
        body["deps"] = [dep for dep in body["deps"] if not dep.startswith(("src/", "stages/")) and dep != "networks"]
    return pipeline


def write_outputs(root: Path, names: Sequence[str], per_class: int) -> World:
    """Write params.yaml and what the stages of these models leave, anew."""
    for folder in ("data", "models", "reports"):
        shutil.rmtree(root / folder, ignore_errors=True)
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    params["models"] = {name: {"loss": name.split("-")[0], "seed": int(name[-1])} for name in names}
    write_text(root / "params.yaml", yaml.safe_dump(params, sort_keys=False))
    world = write_world(root, names=names, per_class=per_class, size=SIZE, grids=(8, 4))
    data = _write_raw(root)
    for name in names:
        _write_model(world, name, data)
        write_json(root / f"reports/code/{name}.json", {})
    write_json(root / "reports/metrics.json", {name: _metrics(root, name) for name in names})
    for output in (pin.path for stage in read_lock(root).stages for pin in stage.outputs):
        if not (root / output).exists():  # nothing reads it here, but its bytes
            write_text(root / (output if Path(output).suffix else f"{output}/stand-in"), output)
    return world


def _metrics(root: Path, name: str) -> dict:
    test = read(root / f"reports/models/{name}.json")["splits"]["test"]
    return {"test": {"accuracy": test["accuracy"], "log_loss": test["log_loss"]}}


def _write_raw(root: Path) -> str:
    """The raw files, and the prepared data true to them; gives the SHA-256 of the data."""
    prepared = root / "data/prepared"
    index = pd.read_csv(prepared / "index.csv", keep_default_na=False)
    for image, image_id in zip(np.load(prepared / "images.npy"), index["image_id"], strict=True):
        file = root / "data/raw/images" / image_id
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(file)
    index["sha256"] = [sha256_of(root / "data/raw/images" / image_id) for image_id in index["image_id"]]
    index.to_csv(prepared / "index.csv", index=False, lineterminator="\n")
    audit = read(prepared / "audit.json")
    audit["sha256"]["index.csv"] = sha256_of(prepared / "index.csv")
    write_json(prepared / "audit.json", audit)
    return load_prepared(prepared).sha256


def _write_model(world: World, name: str, data: str) -> None:
    """A model file, and the manifest and results of that very file."""
    path, manifest = world.root / f"models/{name}.safetensors", world.root / f"data/cams/{name}/manifest.json"
    path.parent.mkdir(exist_ok=True)
    heads = tuple(read(manifest)["heads"])
    figures = {"train_loss": 0.5, "train_accuracy": 0.8, "val_loss": 0.6, "val_accuracy": 0.7}
    card = Card(
        "looknet", {"width": 4, "depth": 2}, world.class_names, SIZE, (0.5,) * 3, (0.2,) * 3, name.split("-")[0],
        world.layers, heads, {"sha256": data, "images": 1}, {"seed": int(name[-1])}, [{"epoch": 1} | figures],
    )  # fmt: skip
    weights = {"weight": np.full((4, 9), len(name), np.float32), "bias": np.arange(ord(name[-1]), dtype=np.float32)}
    save_file(weights, path, metadata={METADATA_KEY: card_to_json(card)})
    described = read(manifest)
    described["model"]["sha256"], described["data"]["sha256"] = sha256_of(path), data
    write_json(manifest, described)
    write_json(world.root / f"reports/exports/{name}.json", described)
    result = read(world.root / f"reports/models/{name}.json")
    result["model"]["sha256"] = sha256_of(path)
    write_json(world.root / f"reports/models/{name}.json", result)
