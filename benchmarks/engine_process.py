"""What shows in whole processes: memory, several ranks, start-up."""

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from engine_bars import Bar, in_turn, ratio

ROOT = Path(__file__).parents[1]
SIZE = 112
CARD = {
    "mean": (0.5, 0.5, 0.5),
    "std": (0.25, 0.25, 0.25),
    "input_size": SIZE,
    "class_names": ("a", "b"),
    "loss": "last",
    "data": {},
    "training": {"seed": 0},
    "history": [],
}


def environment() -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    return kept | {"PYTHONPATH": str(ROOT / "src"), "WHERETOLOOK_DEVICE": "cpu"}


def write_model(path: Path, architecture: str) -> None:
    from engine_speed import LOOKNET, random_network

    from wheretolook.networks.card import Card
    from wheretolook.networks.checkpoint import save_model

    network = random_network(architecture, "cpu")
    arguments = LOOKNET if architecture == "looknet" else {}
    layers = network.layer_names
    save_model(path, network, Card(architecture, arguments, layers=layers, trained_heads=layers[-1:], **CARD))


def write_prepared(folder: Path, count: int) -> None:
    """Images that are all black, in a file with holes: what is measured does not depend on them."""
    folder.mkdir(parents=True)
    np.lib.format.open_memmap(folder / "images.npy", mode="w+", dtype=np.uint8, shape=(count, SIZE, SIZE, 3)).flush()
    rows = [f"{'ab'[i % 2]}/{i}.png,{'ab'[i % 2]},{i % 2},test,,{SIZE},{SIZE},0" for i in range(count)]
    head = "image_id,class_name,class_index,split,group,width,height,sha256"
    (folder / "index.csv").write_text("\n".join([head, *rows]) + "\n")
    sha256 = {"images.npy": "0" * 64, "index.csv": hashlib.sha256((folder / "index.csv").read_bytes()).hexdigest()}
    (folder / "audit.json").write_text(json.dumps({"class_names": ["a", "b"], "sha256": sha256}))


def export(folder: Path, prepared: str, out: str, batch: int, launcher: list[str]) -> list[str]:
    """The command of the export stage, with what params.yaml has but for two layers and no random networks."""
    from wheretolook.project.params_file import arguments, read_params

    chosen = {"methods": ["cam", "gradcam"], "layers": "block3,block4", "batch_size": batch, "random_draws": 0}
    words = arguments(read_params(ROOT / "params.yaml")["export"] | chosen)
    folders = {"models": "models", "prepared": prepared, "cams": out, "exports": out}
    words += [word for key, name in folders.items() for word in (f"--{key}", str(folder / name))]
    return [*launcher, str(ROOT / "stages/export.py"), "one", *words]


PEAK = """
import re, runpy, sys, threading
peak, done = 0, threading.Event()
def watch():
    global peak
    while not done.wait(0.01):
        peak = max(peak, int(re.search(r"RssAnon:\\s+(\\d+)", open("/proc/self/status").read())[1]))
watcher = threading.Thread(target=watch, daemon=True)
watcher.start()
stage = runpy.run_path(sys.argv[1], run_name="stage")["export"]
stage.main(sys.argv[2:], standalone_mode=False)
done.set(); watcher.join()
print("peak", peak)
"""


def measure_memory(images: tuple[int, int], batch: int) -> list[Bar]:
    """Peak anonymous memory of an export, at many images over that at few."""
    peaks = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_model(folder / "models/one.safetensors", "looknet")
        for count in images:
            write_prepared(folder / str(count), count)
            command = export(folder, str(count), "cams", batch, [sys.executable, "-c", PEAK])
            done = subprocess.run(command, env=environment(), check=True, capture_output=True, text=True)
            peaks[f"MB at {count} images"] = int(done.stdout.split()[-1]) / 1024
    few, many = peaks.values()
    return [Bar(f"peak anonymous memory at {images[1]} images over {images[0]}", many / few, 1.05, False, peaks)]


def measure_ranks(batch: int) -> list[Bar]:
    """Files that differ between one process and two under torchrun."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_model(folder / "models/one.safetensors", "looknet")
        write_prepared(folder / "prepared", 5 * batch + 3)
        images = np.load(folder / "prepared/images.npy", mmap_mode="r+")
        images[:] = np.random.default_rng(0).integers(0, 256, images.shape, dtype=np.uint8)
        images.flush()
        torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
        for out, launcher in {"one": [sys.executable], "two": torchrun}.items():
            command = export(folder, "prepared", out, batch, launcher)
            subprocess.run(command, env=environment(), check=True, capture_output=True)
        one, two = ({p.name: p.read_bytes() for p in (folder / out / "one").iterdir()} for out in ("one", "two"))
    return [
        Bar(
            "two processes under torchrun, files that differ from one's",
            float(sum(one[f] != two[f] for f in one)),
            0,
            False,
        )
    ]


def measure_start(rounds: int) -> list[Bar]:
    """The whole of `wheretolook look` on one image, over the import of what it needs."""
    from PIL import Image

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        Image.fromarray(np.random.default_rng(0).integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)).save(
            folder / "a.png"
        )
        for architecture in ("looknet", "resnet18"):
            write_model(folder / f"{architecture}.safetensors", architecture)

        def run(*words: str):
            return lambda: subprocess.run([sys.executable, *words], env=environment(), check=True, capture_output=True)

        def look(architecture: str):
            words = [
                "look",
                folder / "a.png",
                "--model",
                folder / f"{architecture}.safetensors",
                "--out",
                folder / "out",
            ]
            return run("-m", "wheretolook.cli.main", *map(str, words))

        works = {
            "import torch": run("-c", "import torch"),
            "look, looknet": look("looknet"),
            "import torch, torchvision": run("-c", "import torch, torchvision"),
            "look, resnet18": look("resnet18"),
        }
        seconds = in_turn(works, rounds)
    return [
        ratio("wheretolook look, looknet, over import torch", seconds, "look, looknet", "import torch", 1.3, False),
        ratio(
            "wheretolook look, resnet18, over import torch, torchvision",
            seconds,
            "look, resnet18",
            "import torch, torchvision",
            1.2,
            False,
        ),
    ]
