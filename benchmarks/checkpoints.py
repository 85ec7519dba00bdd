"""What resuming costs a training: its time with the state saved over its time without, in turn; and what a kill loses.

    python benchmarks/checkpoints.py [--pairs 5] [--prepared data/prepared]

Trains the default looknet of params.yaml on prepared images, prints medians, writes benchmarks/checkpoints.json.
"""

import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

import click

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "src")]


@click.command()
@click.option("--pairs", type=click.IntRange(1), default=5, show_default=True)
@click.option("--prepared", type=click.Path(path_type=Path), default=ROOT / "data/prepared", show_default=True)
@click.option("--out", type=click.Path(path_type=Path), default=ROOT / "benchmarks/checkpoints.json", show_default=True)
def checkpoints(pairs: int, prepared: Path, out: Path) -> None:
    """Print the figures."""
    import torch

    runs = []
    for number in range(pairs):
        # Now this, now the other first: what warms up, or who else computes, meets both.
        for saving in (True, False) if number % 2 else (False, True):
            runs.append(train_once(prepared, saving))
            click.echo(json.dumps(runs[-1]))
    found = {"threads": torch.get_num_threads(), "pairs": pairs, **figures(runs)}
    out.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    click.echo(json.dumps(found, indent=2))


def train_once(prepared: Path, saving: bool) -> dict[str, float]:
    """Train once; seconds by the clock and of the processor, those that saving took, and the most between two saves."""
    import torch
    import yaml

    from wheretolook.base.prepared import load_prepared
    from wheretolook.networks.runtime.processes import Ranks
    from wheretolook.params.train_options import TrainOptions
    from wheretolook.training.train_network import Keeper, train_network

    options = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    data, alone = load_prepared(prepared), Ranks(0, 1, 0, torch.device("cpu"))
    save, spent, at = Keeper.save, [], [time.perf_counter()]

    def timed(keeper: Keeper) -> None:
        at.append(time.perf_counter())
        if saving:
            save(keeper)
        spent.append(time.perf_counter() - at[-1])

    Keeper.save = timed
    try:
        with tempfile.TemporaryDirectory(dir=ROOT) as cache:
            began, worked = time.perf_counter(), time.process_time()
            training = TrainOptions(**options["train"], loss="last", seed=0)
            train_network(data, training, alone, "one", Path(cache), lambda line: None)
            ended, worked = time.perf_counter(), time.process_time() - worked
    finally:
        Keeper.save = save
    between = [after - before for before, after in zip(at, [*at[1:], ended], strict=True)]
    return {
        "saving": saving,
        "seconds": ended - began,
        "processor": worked,
        "saves": len(spent),
        "in_saves": sum(spent),
        "longest_between": max(between),
    }


def figures(runs: list[dict[str, float]]) -> dict[str, float]:
    """Medians, and their ratios."""

    def median(key: str, saving: bool) -> float:
        return statistics.median(run[key] for run in runs if run["saving"] is saving)

    saved = [run for run in runs if run["saving"]]
    return {
        "seconds_with": round(median("seconds", True), 2),
        "seconds_without": round(median("seconds", False), 2),
        "time_with_over_without": round(median("seconds", True) / median("seconds", False), 4),
        "processor_with_over_without": round(median("processor", True) / median("processor", False), 4),
        "share_of_time_in_saves": round(
            statistics.median(run["in_saves"] / (run["seconds"] - run["in_saves"]) for run in saved), 5
        ),
        "saves": saved[0]["saves"],
        "seconds_lost_at_most": round(max(run["longest_between"] for run in saved), 2),
    }


if __name__ == "__main__":
    checkpoints()
