"""What a busy machine costs a training: its time with one busy process on each core, over its time without, in turn.

    python benchmarks/busy.py [--rounds 3] [--epochs 7] [--spincount 0 --spincount 2000] [--nice -15]

Trains the looknet of params.yaml on the embedded cells through stages/launch. Two is fair: the others take half.
"unset" is libgomp's own spinning, as before stages/launch set GOMP_SPINCOUNT. Run it where nothing else runs;
--nice -15 (root) gives this benchmark more of a machine where something does.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "src")]
# libgomp's default, for as many threads as cores.
UNSET = "300000"


@click.command()
@click.option("--rounds", type=click.IntRange(1), default=3, show_default=True, help="Of every setting, in turn.")
@click.option("--epochs", type=click.IntRange(1), default=7, show_default=True, help="Of each training.")
@click.option("--spincount", multiple=True, help="Values of GOMP_SPINCOUNT beside what stages/launch sets and unset.")
@click.option("--nice", type=click.IntRange(-20, 19), default=0, show_default=True, help="Of all that it starts.")
def busy(rounds: int, epochs: int, spincount: tuple[str, ...], nice: int) -> None:
    """Print seconds and ratios as JSON."""
    os.nice(nice)
    settings = {"launch": {}, "unset": {"GOMP_SPINCOUNT": UNSET}} | {c: {"GOMP_SPINCOUNT": c} for c in spincount}
    seconds: dict[str, dict[str, list[float]]] = {name: {"idle": [], "busy": []} for name in settings}
    with tempfile.TemporaryDirectory() as folder:
        prepared = prepared_cells(Path(folder))
        train(prepared, 1, {})  # what is read from the disk once
        for _ in range(rounds):
            for name, variables in settings.items():
                seconds[name]["idle"].append(train(prepared, epochs, variables))
            load = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(os.cpu_count() or 1)]
            try:
                for name, variables in settings.items():
                    seconds[name]["busy"].append(train(prepared, epochs, variables))
            finally:
                for process in load:
                    process.kill()
                    process.wait()
            click.echo(json.dumps(seconds), err=True)
    median = {name: {how: statistics.median(times) for how, times in both.items()} for name, both in seconds.items()}
    click.echo(
        json.dumps(
            {
                name: {
                    "idle_seconds": round(both["idle"], 2),
                    "busy_seconds": round(both["busy"], 2),
                    "busy_over_idle": round(both["busy"] / both["idle"], 2),
                    "idle_over_unset": round(both["idle"] / median["unset"]["idle"], 3),
                }
                for name, both in median.items()
            },
            indent=2,
        )
    )


def prepared_cells(folder: Path) -> Path:
    """The prepared data of params.yaml, made below `folder`."""
    from wheretolook.params.prepare_options import PrepareOptions
    from wheretolook.prepare.prepare_images import prepare
    from wheretolook.sources.synthetic import write_cells

    given = parameters()
    write_cells(folder / "raw", given["fetch"]["images_per_class"], given["fetch"]["size"], given["fetch"]["seed"])
    prepare(folder / "raw", folder / "prepared", PrepareOptions(**given["prepare"]))
    return folder / "prepared"


def train(prepared: Path, epochs: int, variables: dict[str, str]) -> float:
    """Seconds of one training, by the clock, the start of Python included."""
    from wheretolook.project.params_file import arguments

    given = parameters()
    options = arguments(given["train"] | {"epochs": epochs} | given["models"]["every-0"])
    folders = [f"--{name}={prepared.parent / name}" for name in ("models", "cache")]
    words = ["sh", str(ROOT / "stages/launch"), str(ROOT / "stages/train.py"), "busy", *options, *folders]
    began = time.perf_counter()
    subprocess.run(
        [*words, f"--prepared={prepared}"], env=os.environ | variables, cwd=ROOT, check=True, capture_output=True
    )
    return time.perf_counter() - began


def parameters() -> dict:
    """The sections of params.yaml."""
    import yaml

    return yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))


if __name__ == "__main__":
    busy()
