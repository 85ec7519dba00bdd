"""How long the comparison takes, and how much memory, on made-up maps of full size.

    python benchmarks/compare.py [--write]

Ten models, 1,000 images, 14 x 14 cells: all 45 pairs with every figure, interval and null. And 40 arrays of 10,000 maps
of 56 x 56 laid over each other. Writes benchmarks/compare.json with `--write`.
"""

import tempfile
import threading
import time
from itertools import combinations
from pathlib import Path

import click
import numpy as np

from wheretolook.analysis.agreement.agreement_baselines import add_random_null, compare_with
from wheretolook.analysis.agreement.agreement_table import figure_rows, figures_of, pairs_by_grid
from wheretolook.analysis.agreement.study import Comparison
from wheretolook.analysis.classes.overlays import moments_of_maps
from wheretolook.analysis.explained import Target
from wheretolook.base.files import write_json

RESULT = Path(__file__).with_suffix(".json")
MODELS, IMAGES, SIDE, RESAMPLES = 10, 1000, 14, 1999
DRAWS, RANDOM = 10, np.arange(100)  # random networks, and the images that they have maps of
ARRAYS, MAPS, LARGE = 40, 10_000, 56


class MadeUp:
    """A study of random maps, with what the agreement asks of one."""

    split, class_names = "test", ("infected", "uninfected")

    def __init__(self) -> None:
        generator = np.random.default_rng(0)
        self.rows, self.groups = np.arange(IMAGES), np.arange(IMAGES)
        self.labels = np.arange(IMAGES) % 2
        self.names = [f"model-{i}" for i in range(MODELS)]
        self.right = {name: generator.random(IMAGES) < 0.95 for name in self.names}
        shape = (IMAGES, 2, SIDE, SIDE)
        shared = generator.normal(size=shape)
        maps = {name: (shared + generator.normal(size=shape)).astype(np.float32) for name in self.names}
        self.draws = generator.normal(size=(DRAWS, len(RANDOM), SIDE, SIDE)).astype(np.float32)
        self.targets = {name: Target(array, self.labels, True) for name, array in maps.items()}

    def kind(self, first: str, second: str) -> str:
        """One recipe all."""
        return "seeds"


def agreement_seconds() -> tuple[float, float]:
    """Seconds for every figure of every pair, by the clock and of the processor, in all threads together."""
    study = MadeUp()
    comparison = Comparison("cam", dict.fromkeys(study.names, "block4"), list(combinations(study.names, 2)), True)
    start, busy, rows = time.perf_counter(), time.process_time(), []
    for grid, pairs in pairs_by_grid(comparison, study.targets).items():
        for figure in figures_of(study, study.targets, grid, pairs, True):
            rows += figure_rows(study, comparison, figure, pairs, study.targets, RESAMPLES, 0)
    nulls = {
        name: compare_with(RANDOM, target.true_class(RANDOM), study.draws) for name, target in study.targets.items()
    }
    add_random_null(study, rows, nulls)
    assert len(rows) == 45 * 5 * 3 * 4
    assert all(row["random"] is not None for row in rows if row["subset"] == "all")
    return time.perf_counter() - start, time.process_time() - busy


def aggregation_megabytes(folder: Path) -> float:
    """Largest anonymous memory above the start, in MB, while 40 arrays are laid over each other, class by class."""
    array = np.lib.format.open_memmap(folder / "maps.npy", "w+", np.float32, (MAPS, 2, LARGE, LARGE))
    array[:] = np.random.default_rng(0).normal(size=(1, 2, LARGE, LARGE))
    array.flush()
    del array
    labels = np.arange(MAPS) % 2
    start, largest, done = anonymous_kilobytes(), 0, threading.Event()

    def watch() -> None:
        nonlocal largest
        while not done.wait(0.005):
            largest = max(largest, anonymous_kilobytes())

    watcher = threading.Thread(target=watch)
    watcher.start()
    for _ in range(ARRAYS):
        target = Target(np.load(folder / "maps.npy", mmap_mode="r"), labels, True)
        for k in (0, 1):
            moments = moments_of_maps(target, np.flatnonzero(labels == k))
            moments.mean(), moments.spread()
    done.set()
    watcher.join()
    return (largest - start) / 1024


def anonymous_kilobytes() -> int:
    """Memory that is this process's own: pages of mapped files, which the system may drop, don't count."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return int(next(line for line in lines if line.startswith("RssAnon")).split()[1])


@click.command()
@click.option("--write", is_flag=True, help="Keep the figures in benchmarks/compare.json.")
def compare(write: bool) -> None:
    """Measure both, and print them beside what was promised."""
    with tempfile.TemporaryDirectory() as folder:
        megabytes = aggregation_megabytes(Path(folder))
    click.echo(f"{ARRAYS} arrays of {MAPS} x {LARGE} x {LARGE} over each other: {megabytes:.0f} MB (200 at most)")
    seconds, busy = agreement_seconds()
    click.echo(
        f"agreement of {MODELS} models, {IMAGES} images, {SIDE} x {SIDE}: {seconds:.1f} s (15 at most), "
        f"{busy:.1f} s of the processor"
    )
    if write:
        figures = {"agreement_seconds": seconds, "agreement_processor_seconds": busy}
        write_json(RESULT, figures | {"aggregation_megabytes": megabytes})


if __name__ == "__main__":
    compare()
