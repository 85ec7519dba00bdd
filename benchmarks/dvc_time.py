"""DVC's own time for many models: the pipeline's stages as stubs, beside the same stages with one dependency each.

    python benchmarks/dvc_time.py --models 40

Every command is replaced by one that writes tiny outputs at once, so that only DVC's own work is timed: loading
dvc.yaml, hashing dependencies, rewriting dvc.lock. Both pipelines run in turn on the same machine; the ratio counts.
"""

import argparse
import copy
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]
STUB = "mkdir -p {folders} && for f in {files}; do echo {name} > $f; done"


def stubbed(definition: dict[str, Any], one_dependency: bool) -> dict[str, Any]:
    """dvc.yaml with commands that only write their outputs."""
    made = copy.deepcopy(definition)
    made.pop("plots", None)
    for name, stage in made["stages"].items():
        body = stage.get("do", stage)
        body["outs"] = [*body["outs"], *body.pop("metrics", [])]
        paths = [next(iter(out)) if isinstance(out, dict) else out for out in body["outs"]]
        files = [path if Path(path).suffix else f"{path}/file.txt" for path in paths]
        folders = sorted({str(Path(file).parent) for file in files})
        body["cmd"] = STUB.format(
            folders=" ".join(folders), files=" ".join(files), name=f"{name}-${{key}}" if "do" in stage else name
        )
        data = [path for path in body["deps"] if not path.startswith(("src/", "stages/"))]
        body["deps"] = [
            *(["src/wheretolook/base/errors.py"] if one_dependency else body["deps"][: len(body["deps"]) - len(data)])
        ]
        body["deps"] += [path for path in data if not path.startswith("reports/")]
    return made


def prepare(folder: Path, models: int, one_dependency: bool) -> None:
    """A DVC project of stubs."""
    for name in ("src", "stages", "networks"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy2(ROOT / ".dvcignore", folder / ".dvcignore")
    params = yaml.safe_load((ROOT / "params.yaml").read_text("utf-8"))
    params["models"] = {f"model-{index}": {"seed": index} for index in range(models)}
    params["drive"] = {"drive-0": {"id": "x"}}
    (folder / "params.yaml").write_text(yaml.safe_dump(params), "utf-8")
    definition = yaml.safe_load((ROOT / "dvc.yaml").read_text("utf-8"))
    (folder / "dvc.yaml").write_text(yaml.safe_dump(stubbed(definition, one_dependency)), "utf-8")
    subprocess.run(["git", "init", "-q"], cwd=folder, check=True)
    subprocess.run([sys.executable, "-m", "dvc", "init", "-q"], cwd=folder, check=True)


def timed(folder: Path) -> float:
    """Seconds of one `dvc repro`."""
    start = time.perf_counter()
    env = os.environ | {"PYTHONDONTWRITEBYTECODE": ""}
    subprocess.run(
        [sys.executable, "-m", "dvc", "repro", "-q"], cwd=folder, check=True, env=env, stdout=subprocess.DEVNULL
    )
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=int, default=40, help="number of models (default: 40)")
    models = parser.parse_args().models
    figures: dict[str, Any] = {"models": models}
    with tempfile.TemporaryDirectory() as scratch:
        for name, one in (("folders", False), ("one dependency", True)):
            folder = Path(scratch) / name.replace(" ", "-")
            folder.mkdir()
            prepare(folder, models, one)
            first, again = timed(folder), min(timed(folder) for _ in range(3))
            lock = yaml.safe_load((folder / "dvc.lock").read_text("utf-8"))["stages"]
            lines = len((folder / "dvc.lock").read_text("utf-8").splitlines())
            figures[name] = {
                "stages": len(lock),
                "seconds_a_stage": round(first / len(lock), 3),
                "seconds_no_op": round(again, 2),
                "lock_lines_a_stage": round(lines / len(lock), 1),
            }
            print(f"{name}: {figures[name]}", flush=True)
    a, b = figures["folders"], figures["one dependency"]
    figures["ratio_a_stage"] = round(a["seconds_a_stage"] / b["seconds_a_stage"], 2)
    figures["ratio_no_op"] = round(a["seconds_no_op"] / b["seconds_no_op"], 2)
    print(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
