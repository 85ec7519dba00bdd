"""A Drive folder of four checkpoints, of both networks in networks/talk.py, through one `dvc repro` to the report."""

import hashlib
import io
import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from networks.talk import EveryLoss, LastLoss
from tests.drive_server.drive import Drive, Folder
from tests.drive_server.served import Served
from tests.pipeline.project import Project, copy_project

FOLDER = "1AbCdEfGhIjKlMnOpQrStUvWxYz_0123-"
BLOCKS = ["block1", "block2", "block3", "block4"]
KINDS = {"last-a": LastLoss, "last-b": LastLoss, "every-a": EveryLoss, "every-b": EveryLoss}
# A quarter of the pixels that these networks are made for, which tests/networks/test_talk.py imports and explains.
SECTIONS = {
    "fetch": {"images_per_class": 8},
    "prepare": {"size": 64},
    "export": {"methods": ["cam", "activation"], "random_draws": 0},
    "score": {"faithfulness_images": 4, "sanity_draws": 0, "stability_images": 0},
}


def checkpoint(kind: type, seed: int) -> bytes:
    """What the program that these networks come from saves."""
    torch.manual_seed(seed)
    network = kind(2)
    network(torch.rand(8, 3, 64, 64))  # statistics of the batch normalisation
    optimizer = torch.optim.Adam(network.parameters(), lr=0.1)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, 1)
    content = io.BytesIO()
    saved = {
        "net_state_dict": network.state_dict(),
        "optim_state_dict": optimizer.state_dict(),
        "scheduler_state_dict": schedule.state_dict(),
        "best_val_acc": np.float64(0.97),
        "epoch": 12,
    }
    torch.save(saved, content)
    return content.getvalue()


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, forks: dict[str, str]) -> Project:
    """The project after its run."""
    project = copy_project(tmp_path_factory.mktemp("study"), modules=False, variables=forks, stand_ins=["report"])
    files = {name: checkpoint(kind, seed) for seed, (name, kind) in enumerate(KINDS.items())}
    params = project.read_params()
    for section, values in SECTIONS.items():
        params[section].update(values)
    params["models"] = {}
    params["drive"] = {
        name: {
            "folder": f"https://drive.google.com/drive/folders/{FOLDER}?usp=sharing",
            "file": f"{name}.pt",
            "sha256": hashlib.sha256(content).hexdigest(),
            "architecture": f"networks/talk.py:{KINDS[name].__name__}",
            "layers": BLOCKS,
            "classes": ["infected", "uninfected"],
            "input_size": 64,
            "mean": [0, 0, 0],
            "std": [1, 1, 1],
        }
        for name, content in files.items()
    }
    project.write_params(params)
    with Drive(tmp_path_factory.mktemp("drive")) as drive:
        drive.files = {f"1file{name:_<28}": Served(content) for name, content in files.items()}
        drive.folders = {FOLDER: Folder("talk", {f"{name}.pt": f"1file{name:_<28}" for name in files}, {})}
        replace(project, variables=forks | drive.environment).repro()
    return project


def read(project: Project, path: str) -> dict:
    return json.loads((project.root / path).read_text(encoding="utf-8"))


def test_each_checkpoint_is_exported_at_every_block_with_the_heads_that_it_was_trained_with(project: Project) -> None:
    for name, kind in KINDS.items():
        manifest = read(project, f"reports/exports/{name}.json")
        assert manifest["layers"] == BLOCKS
        of_cam = {entry["layer"] for entry in manifest["arrays"].values() if entry.get("method") == "cam"}
        assert of_cam == (set(BLOCKS) if kind is EveryLoss else {"block4"})
        assert np.load(project.root / f"data/cams/{name}/activation.block1.npy").shape == (16, 1, 32, 32)
        scored = read(project, f"reports/models/{name}.json")
        assert scored["model"]["loss"] == ("every" if kind is EveryLoss else "last")
        assert set(scored["splits"]["test"]["heads"]) == of_cam


def test_all_four_are_compared_and_reported(project: Project) -> None:
    written = ("reports/plots/agreement.csv", "reports/metrics.json", "reports/site/index.html", "reports/summary.md")
    for path in written:
        text = (project.root / path).read_text(encoding="utf-8")
        assert [name for name in KINDS if name not in text] == [], path
