"""Time and memory of `fetch` and `prepare` for many images, and of index, splits and audit for a million rows.

    python benchmarks/size.py images --images 200000 --folder /data/size
    python benchmarks/size.py rows --rows 1000000

<<<<<<< HEAD
`images` generates JPEGs of 178 x 218 once, the size of CelebA's faces. Then it decodes and resizes them with Pillow
alone, and runs both stages, in turn. The ratio of their wall times counts, and the peak memory of each stage.
=======
`images` generates JPEGs of 178 x 218 once, in the size and form of CelebA's faces. It decodes and resizes them with
Pillow alone, and runs both stages, in turn. The ratio of their wall times counts, and the peak memory of each stage.
>>>>>>> eec56bbeeb6097fc6a759bda5a3c3508070b12d5
`rows` makes a table without any image, and times what `prepare` does with it after decoding.
"""

import argparse
import hashlib
import json
import os
import resource
import shutil
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image
from tqdm import tqdm

from wheretolook.base.prepared import SPLITS
from wheretolook.base.resources import usable_cores
from wheretolook.images.raw_data import RawTable
from wheretolook.images.scan import ImageFile
from wheretolook.params.prepare_options import PrepareOptions
from wheretolook.prepare import prepare_images
from wheretolook.prepare.audit import audit_classes, audit_groups, audit_near, audit_rows
from wheretolook.prepare.copies import NearPairs
from wheretolook.prepare.pixels import Decoded
from wheretolook.prepare.splits import check_classes, connected_units

ROOT = Path(__file__).parents[1]
SIZE, CHUNK = 64, 32
OPTIONS = {
    "size": SIZE, "fit": "stretch", "group_pattern": "", "mask_values": "", "val_share": 0.15, "test_share": 0.25,
    "seed": 0, "rare_classes": "refuse", "on_bad_image": "error",
}  # fmt: skip


def write_jpeg(folder: Path, number: int) -> None:
    """A smooth picture with fine noise, of 15 kB."""
    path = folder / ("Female" if number % 2 else "Male") / f"{number:06d}.jpg"
    if path.exists():
        return
    random = np.random.default_rng(number)
    coarse = Image.fromarray(random.integers(0, 256, (14, 11, 3), dtype=np.uint8))
    smooth = np.asarray(coarse.resize((178, 218), Image.Resampling.BICUBIC)).astype(np.int16)
    pixels = smooth + random.integers(-8, 9, (218, 178, 1))
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(path, quality=90)


def write_jpegs(folder: Path, numbers: range) -> None:
    """The pictures of these numbers."""
    for number in numbers:
        write_jpeg(folder, number)


def decode(files: list[Path]) -> None:
    """Decode and resize with Pillow alone, as `prepare` does."""
    for file in files:
        with Image.open(file) as image:
            np.asarray(image.convert("RGB").resize((SIZE, SIZE), Image.Resampling.BILINEAR))


def run_stage(name: str, folder: Path, options: dict[str, object]) -> dict[str, float]:
    """Run a stage in a folder: wall and CPU seconds, and peak memory in MB."""
    words = [f"--{key}={value}" for key, value in options.items()]
    start = time.perf_counter()
    process = subprocess.Popen([sys.executable, ROOT / f"stages/{name}.py", *words], cwd=folder)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"{name} failed")
    seconds, cpu = time.perf_counter() - start, usage.ru_utime + usage.ru_stime
    return {"seconds": seconds, "cpu": cpu, "peak_mb": usage.ru_maxrss / 1024}


def measure_images(folder: Path, count: int, turns: int) -> None:
    """Print the figures of each turn as a line of JSON."""
    source = folder / "source"
    for name in ("Male", "Female"):
        (source / name).mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(usable_cores()) as pool:
        batches = [range(start, min(start + 500, count)) for start in range(0, count, 500)]
        for done in tqdm([pool.submit(write_jpegs, source, batch) for batch in batches], desc="generate"):
            done.result()
    files = sorted(source.rglob("*.jpg"))
    size = sum(file.stat().st_size for file in files)
    for _ in range(turns):
        shutil.rmtree(folder / "data", ignore_errors=True)
        start, cpu = time.perf_counter(), time.process_time()
        with ThreadPoolExecutor(usable_cores()) as threads:
            list(threads.map(decode, [files[first : first + CHUNK] for first in range(0, len(files), CHUNK)]))
        alone = {"seconds": time.perf_counter() - start, "cpu": time.process_time() - cpu}
        fetch = run_stage("fetch", folder, {"source": "folder", "path": source, "masks": ""})
        prepare = run_stage("prepare", folder, OPTIONS)
        raw = sum(file.stat().st_size for file in (folder / "data/raw").rglob("*") if file.is_file())
        figures = {
            "images": len(files),
            "pillow": alone,
            "fetch": fetch,
            "prepare": prepare,
            "ratio": (fetch["seconds"] + prepare["seconds"]) / alone["seconds"],
            "cpu_ratio": (fetch["cpu"] + prepare["cpu"]) / alone["cpu"],
            "raw_over_source": raw / size,
        }
        print(json.dumps(figures))


def measure_rows(count: int, group_size: int) -> None:
    """Print seconds of each step, and the peak memory, as a line of JSON."""
    files, decoded, groups = [], [], []
    for row in range(count):
        name, digest = "ab"[row % 2], hashlib.sha256(row.to_bytes(8)).hexdigest()
        files.append(ImageFile(f"{name}/patient_{row // group_size:07d}_{row:07d}.jpg", name, Path()))
        decoded.append(Decoded(digest, 64, 64, digest[:32]))
        groups.append(f"patient_{row // group_size:07d}")
    start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    seconds = {}
    cpu = time.process_time()

    def step(name: str, begun: float) -> None:
        seconds[name] = time.perf_counter() - begun

    begun = time.perf_counter()
    units = connected_units(groups, [one.pixels for one in decoded])
    check_classes([file.class_name for file in files], units, "refuse")
    step("units", begun)
    begun = time.perf_counter()
    kept = list(zip(files, decoded, groups, strict=True))
    rows = prepare_images._rows(kept, units, PrepareOptions(**OPTIONS), None)
    del kept
    step("splits", begun)
    begun = time.perf_counter()
    with TemporaryDirectory() as folder:
        prepare_images._write_index(Path(folder) / "index.csv", rows, RawTable())
    step("index", begun)
    begun = time.perf_counter()
    near = NearPairs(np.empty((0, 2), np.int64), count)
    audit_rows(rows, SPLITS)
    audit_near(rows, near, SPLITS, SPLITS[0])
    audit_classes(files, {}, rows, SPLITS)
    audit_groups(rows, "group")
    step("audit", begun)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    figures = {
        "rows": count,
        "seconds": seconds,
        "total": sum(seconds.values()),
        "cpu": time.process_time() - cpu,
        "table_mb": start,
        "peak_mb": peak,
    }
    print(json.dumps(figures))


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    images = commands.add_parser("images")
    images.add_argument("--images", type=int, default=200_000)
    images.add_argument("--folder", type=Path, required=True)
    images.add_argument("--turns", type=int, default=2)
    rows = commands.add_parser("rows")
    rows.add_argument("--rows", type=int, default=1_000_000)
    rows.add_argument("--group_size", type=int, default=5)
    given = parser.parse_args()
    if given.command == "images":
        measure_images(given.folder.resolve(), given.images, given.turns)
    else:
        measure_rows(given.rows, given.group_size)


if __name__ == "__main__":
    main()
