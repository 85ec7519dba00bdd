"""Every stage of the smallest project, run in this process: seconds for all, since torch is imported once."""

import hashlib
import shutil
import sys
from collections.abc import Iterator
from contextlib import chdir, contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import click
import yaml
from click.testing import CliRunner, Result

from tests.chaos.undisturbed import SMALLEST, TOPS
from tests.pipeline.code_dependencies import ROOT, STAGES
from wheretolook.project.params_file import arguments, read_params

MODEL = "every-0"
OUTPUTS = {
    "check": ["reports/names.json", "reports/code"],
    "fetch": ["data/raw"],
    "prepare": ["data/prepared"],
    "train": [f"models/{MODEL}.safetensors"],
    "export": [f"data/cams/{MODEL}", f"reports/exports/{MODEL}.json"],
    "score": [f"reports/models/{MODEL}.json"],
    "compare": ["data/comparison", "reports/comparison"],
    "report": ["reports/site", "reports/data.json", "reports/figures", "reports/plots", "reports/summary.md",
               "reports/metrics.json"],
}  # fmt: skip


@dataclass(frozen=True)
class World:
    """A finished project without DVC.

    Attributes:
        root: its folder.
        kept: a copy of its outputs.
        commands: each stage's command and its words.
    """

    root: Path
    kept: Path
    commands: dict[str, tuple[click.Command, list[str]]]

    def run(self, stage: str, *more: str) -> Result:
        """Run a stage, with more words after its own."""
        command, words = self.commands[stage]
        with chdir(self.root):
            return CliRunner().invoke(command, [*words, *more])

    def clear(self, stage: str) -> None:
        """Remove a stage's outputs, as DVC does before it runs it."""
        for output in OUTPUTS[stage]:
            _remove(self.root / output)

    def put_back(self) -> None:
        """Have all outputs as they were."""
        for top in (*TOPS, ".cache"):
            _remove(self.root / top)
            if (self.kept / top).exists():
                shutil.copytree(self.kept / top, self.root / top)

    def digests(self, folder: Path) -> dict[str, str]:
        """SHA-256 of every output, by path."""
        files = [file for top in TOPS for file in (folder / top).rglob("*") if file.is_file()]
        return {str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def finished_world(root: Path) -> World:
    """Run every stage once, in `root`."""
    root.mkdir(parents=True)
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    for section, values in SMALLEST.items():
        params[section] |= values
    params["export"]["random_draws"] = 0
    params["score"] |= {"sanity_draws": 0, "stability_images": 0}
    params["models"] = {MODEL: params["models"][MODEL]}
    text = yaml.safe_dump(params)
    (root / "params.yaml").write_text(text, encoding="utf-8")
    world = World(root, root.with_name("kept"), _commands(text))
    for stage in OUTPUTS:
        done = world.run(stage)
        assert done.exit_code == 0, f"{stage}: {done.output} {done.exception}"
    for top in TOPS:
        shutil.copytree(root / top, world.kept / top)
    return world


def _commands(text: str) -> dict[str, tuple[click.Command, list[str]]]:
    """Each stage's command and words, as DVC would give them."""
    values = read_params(text)
    words = {stage: arguments(values[stage]) for stage in OUTPUTS if stage in values and stage != "train"}
    words["train"] = [MODEL, *arguments(values["train"]), *arguments(values["models"][MODEL])]
    words |= {stage: [MODEL, *words[stage]] for stage in ("export", "score")}
    with _importable(STAGES):
        return {stage: (getattr(import_module(stage), stage), words.get(stage, [])) for stage in OUTPUTS}


@contextmanager
def _importable(folder: Path) -> Iterator[None]:
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
