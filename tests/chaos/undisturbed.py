"""The pipeline in its smallest form, run once without a disturbance: what every other run is held against."""

import hashlib
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.chaos.processes import start_dvc
from tests.pipeline.project import Project, copy_project

SMALLEST = {
    "fetch": {"images_per_class": 20, "size": 32},
    "prepare": {"size": 32},
    "train": {"epochs": 2, "width": 4, "depth": 3, "batch_size": 8},
    "score": {"faithfulness_images": 4, "sanity_draws": 2, "stability_images": 0, "resamples": 199},
    "compare": {"resamples": 199, "permutations": 199},
    "report": {"gallery_images": 4, "gallery_cells": 4},
}
TOPS = ("data", "models", "reports")


@dataclass(frozen=True)
class Undisturbed:
    """A run that nothing disturbed.

    Attributes:
        root: its folder.
        seconds: each stage, in the order in which DVC ran them, to how long it took with all that DVC did after it.
        files: SHA-256 of each output and of dvc.lock, by path.
    """

    root: Path
    seconds: dict[str, float]
    files: dict[str, str]


def run_undisturbed(root: Path, models: Sequence[str]) -> Undisturbed:
    """Build the smallest project with these models in the empty folder `root`, and run it."""
    project = small_project(root, models)
    process, began = start_dvc(root), {}
    with process.stdout as lines:
        for line in lines:
            if line.startswith("Running stage"):
                began[line.split("'")[1]] = time.monotonic()
    ended = time.monotonic()
    if process.wait():
        raise RuntimeError(f"dvc repro failed undisturbed:\n{project.dvc('repro', check=False).stderr}")
    moments = [*began.values(), ended]
    return Undisturbed(root, {name: moments[i + 1] - moments[i] for i, name in enumerate(began)}, outputs(root))


def small_project(root: Path, models: Sequence[str]) -> Project:
    """The smallest project, nothing run yet."""
    root.mkdir(parents=True)
    project = copy_project(root, modules=False)  # DVC is slow with hundreds of dependencies
    params = project.read_params()
    for section, values in SMALLEST.items():
        params[section].update(values)
    for name in [name for name in params["models"] if name not in models]:
        del params["models"][name]
    project.write_params(params)
    project.commit("smallest")
    return project


def outputs(root: Path) -> dict[str, str]:
    """SHA-256 of every file under the outputs' folders, unfinished ones too, and of dvc.lock; by path."""
    files = [file for top in TOPS for file in sorted((root / top).rglob("*")) if file.is_file()]
    files += [root / "dvc.lock"] * (root / "dvc.lock").exists()
    return {
        file.relative_to(root).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in files
        if file.name != ".gitignore" and not file.name.endswith(".written")
    }


def mend_and_repro(root: Path, seconds: float = 900) -> subprocess.CompletedProcess[str]:
    """What a person types after a kill, and no more: `make mend`, then `dvc repro`."""
    from tests.chaos.processes import chaos_environment

    mend = [sys.executable, "-m", "wheretolook.cli.mend_command"]
    environment = chaos_environment(root) | {"PYTHONPATH": str(root / "src")}
    subprocess.run(mend, cwd=root, env=environment, check=True, capture_output=True, timeout=seconds)
    repro = [sys.executable, "-m", "dvc", "repro"]
    return subprocess.run(repro, cwd=root, env=chaos_environment(root), capture_output=True, text=True, timeout=seconds)
