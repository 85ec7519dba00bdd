"""A copy of the project in a folder of its own, with smaller parameters, and DVC run in it as a person would."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from tests.pipeline.code_dependencies import ROOT

WITHOUT_TORCH = ("train", "export", "score", "report")  # stand-ins
SMALL = {
    "fetch": {"images_per_class": 24},
    "train": {"epochs": 1, "width": 4},
    "export": {"random_draws": 2},
    "score": {"faithfulness_images": 8, "sanity_draws": 2, "stability_images": 4, "resamples": 199},
    "compare": {"resamples": 199, "permutations": 199},
}


@dataclass(frozen=True)
class Project:
    """A git repository with the project's files, whose stages run in this test's own environment."""

    root: Path
    variables: dict[str, str] = field(default_factory=dict)

    def run(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command in the project; with `check`, an exit status other than 0 fails the test with its output."""
        done = subprocess.run(
            words, cwd=self.root, env=environment() | self.variables, capture_output=True, text=True, timeout=900
        )
        assert not check or done.returncode == 0, f"{words} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
        return done

    def dvc(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run `dvc WORDS`, with the first Python on the path."""
        return self.run("python", "-m", "dvc", *words, check=check)

    def repro(self, *words: str) -> list[str]:
        """Run `dvc repro WORDS` and give the names of the stages that ran."""
        lines = self.dvc("repro", *words).stdout.splitlines()
        return [line.split("'")[1] for line in lines if line.startswith("Running stage")]

    def commit(self, message: str) -> None:
        """Commit all that git does not ignore."""
        self.run("git", "add", "-A")
        self.run("git", "-c", "user.name=t", "-c", "user.email=t@localhost", "commit", "-q", "-m", message)

    def read_params(self) -> dict[str, Any]:
        """Read params.yaml, as the round-trip parser gives it."""
        return YAML().load(self.root / "params.yaml")

    def write_params(self, params: dict[str, Any]) -> None:
        """Write params.yaml back."""
        YAML().dump(params, self.root / "params.yaml")


def environment() -> dict[str, str]:
    """The environment of a user's shell: this Python first on the path, byte code kept, no launcher, CPU."""
    env = {key: value for key, value in os.environ.items() if not key.startswith(("GIT_", "WTL_", "DVC_"))}
    env.pop("PYTHONDONTWRITEBYTECODE", None)
    env.pop("PYTHONPATH", None)
    env["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{env['PATH']}"
    env["VIRTUAL_ENV"] = sys.prefix
    env["WHERETOLOOK_DEVICE"] = "cpu"
    return env


def copy_project(
    folder: Path, modules: bool = True, variables: Mapping[str, str] | None = None, stand_ins: Collection[str] = ()
) -> Project:
    """Copy the tracked and the new files of this tree into `folder`, with small parameters, and commit them.

    Args:
        folder: for the project.
        modules: whether stages depend on their modules; hundreds of them make each command of DVC slow.
        variables: of the environment, for every command that is run in the project.
        stand_ins: stages that are replaced by those in tests/pipeline/stand_ins, which take no time.
    """
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    ).stdout.decode()
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file() and not name.startswith(("reports/", "dvc.lock", "docs/", "tests/")):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    project = Project(folder, dict(variables or {}))
    params = project.read_params()
    for section, values in SMALL.items():
        params[section].update(values)
    project.write_params(params)
    if not modules:
        pipeline = (folder / "dvc.yaml").read_text(encoding="utf-8")
        (folder / "dvc.yaml").write_text(re.sub(r"\n +- src/\S+", "", pipeline), encoding="utf-8")
    for stage in stand_ins:
        (folder / f"stages/{stage}.py").rename(folder / f"stages/real_{stage}.py")
        shutil.copy(Path(__file__).parent / f"stand_ins/{stage}.py", folder / f"stages/{stage}.py")
    project.run("git", "init", "-q", "-b", "main")
    project.commit("start")
    return project
