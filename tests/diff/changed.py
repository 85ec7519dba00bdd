"""A finished project that changed by a known amount, and `wheretolook diff` run in it."""

import json
from pathlib import Path

import numpy as np
from click.testing import CliRunner, Result

from tests.pipeline.project import Project
from wheretolook.base.files import sha256_of, write_json
from wheretolook.base.prepared import load_prepared
from wheretolook.cli.diff_command import diff

LAST = "cam.block2.npy"


def edit_array(root: Path, name: str, array: str, values: np.ndarray) -> None:
    """Write an array of maps anew, and pin it."""
    path, manifest = root / f"data/cams/{name}/{array}", root / f"data/cams/{name}/manifest.json"
    np.save(path, values)
    described = json.loads(manifest.read_text(encoding="utf-8"))
    described["arrays"][array]["sha256"] = sha256_of(path)
    write_json(manifest, described)
    write_json(root / f"reports/exports/{name}.json", described)


def change_all_right(root: Path) -> None:
    """Logits of every-0 by which each image is what it is."""
    logits = np.load(root / "data/cams/every-0/logits.npy")
    logits[:, -1] = np.eye(2)[load_prepared(root / "data/prepared").labels]
    edit_array(root, "every-0", "logits.npy", logits)


def change_gaze(root: Path) -> None:
    """The first three test images' maps turned over, the second of them taken for the other class; two figures."""
    maps, logits = np.load(root / "data/cams/every-0" / LAST), np.load(root / "data/cams/every-0/logits.npy")
    moved = load_prepared(root / "data/prepared").rows("test")[:3]
    maps[moved] *= -1
    logits[moved[1], -1] = logits[moved[1], -1][::-1]
    edit_array(root, "every-0", LAST, maps)
    edit_array(root, "every-0", "logits.npy", logits)
    metrics = json.loads((root / "reports/metrics.json").read_text(encoding="utf-8"))
    metrics["every-0"]["test"] |= {"accuracy": 0.25, "log_loss": 2.5}
    write_json(root / "reports/metrics.json", metrics)


def run(project: Project, *words: str) -> Result:
    return CliRunner().invoke(diff, [*words, "--root", str(project.root)])


def read_diff(project: Project, *words: str) -> dict:
    result = run(project, *words, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.output)
