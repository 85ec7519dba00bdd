"""How long the comparison takes, and how much memory, on made-up maps of full size.

    python benchmarks/compare.py [--models 10 --models 20 ...] [--images 1000] [--side 14] [--whole] [--write]

For each number of models, writes the maps of so many models to disk, and compares them in a process of its own: all
pairs with every figure, interval and baseline; with `--whole` the other parts of the stage `compare` too. And 40 arrays
of 10,000 maps of 56 x 56 laid over each other. Writes benchmarks/compare.json with `--write`.
"""

import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import numpy as np
import pandas as pd

from wheretolook.analysis.agreement.agreement_table import agreement_csv, agreement_json, agreement_on, agreement_table
from wheretolook.analysis.agreement.study import Study, load_study
from wheretolook.analysis.classes.class_differences import write_differences
from wheretolook.analysis.classes.overlays import moments_of_maps, write_overlays
from wheretolook.analysis.explained import Target
from wheretolook.analysis.results.schema import to_json
from wheretolook.analysis.statements.pooled import Sampling
from wheretolook.analysis.statements.study_statements import study_statements
from wheretolook.base.files import sha256_of, write_json, write_text
from wheretolook.base.prepared import load_prepared

RESULT = Path(__file__).with_suffix(".json")
RESAMPLES, PERMUTATIONS = 1999, 9999
DRAWS, RANDOM = 10, 100  # random networks, and the images that they have maps of
ARRAYS, MAPS, LARGE = 40, 10_000, 56
CLASSES, LAYER, IMAGE_SIDE = ("infected", "uninfected"), "block4", 28
FIGURES, SUBSETS = 5, 4


def write_study(root: Path, models: int, images: int, side: int) -> None:
    """Prepared images, and the maps of so many models, as the stages before leave them."""
    generator = np.random.default_rng(0)
    labels = np.arange(images) % len(CLASSES)
    _write_prepared(root / "data/prepared", labels, generator)
    shared = generator.normal(size=(images, len(CLASSES), side, side)).astype(np.float32)
    names = [f"model-{number}" for number in range(models)]
    sha256 = load_prepared(root / "data/prepared").sha256
    for number, name in enumerate(names):
        own = np.random.default_rng(number + 1)
        folder = root / "data/cams" / name
        folder.mkdir(parents=True)
        sign = np.where((labels == 0) == (own.random(images) < 0.95), 2.0, -2.0)
        arrays = {
            f"cam.{LAYER}.npy": shared + own.normal(size=shared.shape).astype(np.float32),
            "logits.npy": np.stack([sign, -sign], axis=1)[:, None].astype(np.float32) + own.random((images, 1, 2)),
            "random.npy": own.normal(size=(DRAWS, RANDOM, side, side)).astype(np.float32),
        }
        about = {}
        for file, array in arrays.items():
            np.save(folder / file, array.astype(np.float32))
            about[file] = {"sha256": sha256_of(folder / file), "method": "cam", "layer": LAYER, "knows_class": True}
        about["random.npy"]["rows"] = list(range(RANDOM))
        model = {"name": name, "sha256": f"{number:064}", "architecture": "looknet", "seed": number, "recipe": "one"}
        manifest = {"format": 1, "model": model | {"loss": "last"}, "data": {"sha256": sha256}, "heads": [LAYER]}
        manifest |= {"class_names": list(CLASSES), "map_classes": list(CLASSES), "layers": [LAYER]}
        write_json(root / f"reports/exports/{name}.json", manifest | {"precision": "float32", "arrays": about})
    write_json(root / "reports/names.json", {"models": names, "trained": names, "drive": []})


def _write_prepared(folder: Path, labels: np.ndarray, generator: np.random.Generator) -> None:
    folder.mkdir(parents=True)
    shape = (len(labels), IMAGE_SIDE, IMAGE_SIDE)
    np.save(folder / "images.npy", generator.integers(0, 256, (*shape, 3), dtype=np.uint8))
    masks = np.zeros(shape, dtype=np.uint8)
    masks[:, 4:24, 4:24], masks[labels == 0, 8:12, 8:12] = 1, 2
    np.save(folder / "masks.npy", masks)
    columns = {"image_id": [f"{CLASSES[k]}/{i:07}.png" for i, k in enumerate(labels)]}
    columns |= {"class_name": [CLASSES[k] for k in labels], "class_index": labels, "split": "test", "group": ""}
    columns |= {"width": IMAGE_SIDE, "height": IMAGE_SIDE, "sha256": [f"{i:064}" for i in range(len(labels))]}
    pd.DataFrame(columns).to_csv(folder / "index.csv", index=False, lineterminator="\n")
    hashes = {file.name: sha256_of(file) for file in sorted(folder.iterdir())}
    write_json(folder / "audit.json", {"class_names": list(CLASSES), "sha256": hashes})


def compare_study(root: Path, whole: bool) -> dict[str, float]:
    """Seconds of each part of the comparison of a written study, and its largest memory beyond the start."""
    seconds: dict[str, float] = {}

    @contextmanager
    def timed(part: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        seconds[part] = time.perf_counter() - start

    with watched() as largest:
        with timed("load"):
            prepared = load_prepared(root / "data/prepared")
            study = load_study(
                root / "reports/names.json", root / "reports/exports", root / "data/cams", prepared, "test"
            )
        start, busy = time.perf_counter(), time.process_time()
        rows = agreement_table(study, RESAMPLES, 0)
        seconds |= {"agreement": time.perf_counter() - start, "agreement_processor": time.process_time() - busy}
        check_rows(study, rows)
        if whole:
            other_parts(study, rows, root, timed)
    return seconds | {"megabytes": largest[0]}


def check_rows(study: Study, rows: list[dict]) -> None:
    """Every pair has every row, with each baseline."""
    pairs = len(study.names) * (len(study.names) - 1) // 2
    figures = FIGURES if min(study.maps[study.names[0]].open("cam", LAYER).shape[2:]) >= 7 else FIGURES - 1
    assert len(rows) == pairs * figures * SUBSETS * (len(CLASSES) + 1)
    assert all(row["random"] is not None for row in rows if row["subset"] == "all")


def other_parts(study: Study, rows: list[dict], root: Path, timed: object) -> None:
    """What the stage does beside the table."""
    folder = root / "written"
    folder.mkdir()
    with timed("overlays"):
        write_overlays(study, folder)
    with timed("differences"):
        write_differences(study, folder, False, PERMUTATIONS, 0)
    with timed("train"):
        train = agreement_on(study, "train", RESAMPLES, 0)
    with timed("statements"):
        study_statements(study, rows, {}, 0.2, False, PERMUTATIONS, Sampling(RESAMPLES, 0))
    with timed("writing"):
        write_text(folder / "agreement.csv", agreement_csv(rows))
        write_json(folder / "agreement.json", to_json(agreement_json(study, rows, train, [])))


def aggregation_megabytes(folder: Path) -> float:
    """Largest anonymous memory above the start, in MB, while 40 arrays are laid over each other, class by class."""
    array = np.lib.format.open_memmap(folder / "maps.npy", "w+", np.float32, (MAPS, 2, LARGE, LARGE))
    array[:] = np.random.default_rng(0).normal(size=(1, 2, LARGE, LARGE))
    array.flush()
    del array
    labels = np.arange(MAPS) % 2
    with watched() as largest:
        for _ in range(ARRAYS):
            target = Target(np.load(folder / "maps.npy", mmap_mode="r"), labels, True)
            for k in (0, 1):
                moments = moments_of_maps(target, np.flatnonzero(labels == k))
                moments.mean(), moments.spread()
    return largest[0]


@contextmanager
def watched() -> Iterator[list[float]]:
    """The largest anonymous memory in the block above that at its start, in MB: one number, in the end."""
    start, largest, done = anonymous_kilobytes(), [0.0], threading.Event()

    def watch() -> None:
        while not done.wait(0.005):
            largest[0] = max(largest[0], (anonymous_kilobytes() - start) / 1024)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield largest
    finally:
        done.set()
        watcher.join()


def anonymous_kilobytes() -> int:
    """Memory that is this process's own: pages of mapped files, which the system may drop, don't count."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return int(next(line for line in lines if line.startswith("RssAnon")).split()[1])


@click.command()
@click.option("--models", multiple=True, type=int, default=(10,), help="Number of models; may be given several times.")
@click.option("--images", default=1000, show_default=True)
@click.option("--side", default=14, show_default=True, help="Cells of a map's side.")
@click.option("--whole", is_flag=True, help="Measure the other parts of the stage as well.")
@click.option("--study", type=click.Path(path_type=Path), help="Compare the study in this folder, and print JSON.")
@click.option("--write", is_flag=True, help="Keep the figures in benchmarks/compare.json.")
def compare(models: tuple[int, ...], images: int, side: int, whole: bool, study: Path | None, write: bool) -> None:
    """Measure, and print."""
    if study is not None:
        click.echo(json.dumps(compare_study(study, whole)))
        return
    figures: dict[str, object] = {"images": images, "side": side, "models": {}}
    for number in models:
        with tempfile.TemporaryDirectory() as folder:
            write_study(Path(folder), number, images, side)
            words = [sys.executable, __file__, "--study", folder, *(["--whole"] if whole else [])]
            done = subprocess.run(words, stdout=subprocess.PIPE, check=True, text=True)
        found = json.loads(done.stdout.splitlines()[-1])
        figures["models"][str(number)] = found  # type: ignore[index]
        parts = ", ".join(f"{part} {seconds:.1f} s" for part, seconds in found.items() if part != "megabytes")
        click.echo(f"{number} models, {images} images, {side} x {side}: {parts}; {found['megabytes']:.0f} MB")
    with tempfile.TemporaryDirectory() as folder:
        figures["aggregation_megabytes"] = megabytes = aggregation_megabytes(Path(folder))
    click.echo(f"{ARRAYS} arrays of {MAPS} x {LARGE} x {LARGE} over each other: {megabytes:.0f} MB (200 at most)")
    if write:
        write_json(RESULT, figures)


if __name__ == "__main__":
    compare()
