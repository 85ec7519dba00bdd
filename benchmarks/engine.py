"""How fast is the map engine, against its peers and against the bare network?

    python benchmarks/engine.py [--rounds 7] [--out benchmarks/results/engine.json] [--plot docs/engine.png]

Medians of the rounds, in turn, one process. Peers run in their default layout; our folded convolutions
and channels-last memory count. Prints a table of work, figure and bar; writes all figures, the machine and the
versions as JSON, and a plot.
"""

import json
import platform
import sys
from importlib.metadata import version
from pathlib import Path

import click

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))

from engine_bars import Bar, print_table

PARTS = ("speed", "resnet18", "files", "memory", "ranks", "start")


@click.command()
@click.option("--rounds", type=click.IntRange(3), default=7, show_default=True, help="Of each measurement.")
@click.option("--batch", type=click.IntRange(1), default=64, show_default=True, help="Images a batch.")
@click.option("--files", type=click.IntRange(100), default=5000, show_default=True, help="PNG files to .npy.")
@click.option("--images", type=(int, int), default=(2000, 20000), show_default=True, help="Images for the memory.")
@click.option("--device", default="cpu", show_default=True, help="cpu or cuda.")
@click.option(
    "--clock",
    type=click.Choice(["wall", "cpu"]),
    default="wall",
    show_default=True,
    help="cpu: processor time, for a look at a machine that has other work to do.",
)
@click.option("--part", "parts", multiple=True, type=click.Choice(PARTS), default=PARTS, help="Only these parts.")
@click.option("--out", type=click.Path(path_type=Path), help="Write the figures to this JSON file.")
@click.option("--plot", type=click.Path(path_type=Path), help="Draw them to this PNG file.")
def main(rounds, batch, files, images, device, clock, parts, out, plot):
    """Measure, print, and write."""
    import torch

    # All in whole float32: PyTorch's default on CUDA is TF32, in which the peers' maps differ in the third digit.
    torch.backends.cudnn.allow_tf32 = False
    measured: list[Bar] = []
    if "speed" in parts:
        from engine_speed import measure_speed

        measured += measure_speed("looknet", batch, rounds, device, clock)
    if "resnet18" in parts:
        from engine_speed import measure_speed

        measured += measure_speed("resnet18", batch, max(3, rounds // 2), device, clock)
    if "files" in parts:
        from engine_files import measure_files

        measured += measure_files(files, batch, rounds, device)
    if "memory" in parts:
        from engine_process import measure_memory

        measured += measure_memory(images, batch)
    if "ranks" in parts:
        from engine_process import measure_ranks

        measured += measure_ranks(batch)
    if "start" in parts:
        from engine_process import measure_start

        measured += measure_start(rounds)
    print_table(measured)
    result = {"machine": machine(device), "rounds": rounds, "batch": batch, "bars": [vars(bar) for bar in measured]}
    if out:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    if plot:
        from engine_plot import draw

        draw(result, plot)


def machine(device: str) -> dict:
    """Processor, threads and versions."""
    import torch

    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").is_file() else []
    flags = next((line.split(":")[1].split() for line in lines if line.startswith("flags")), [])
    name = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.processor())
    return {
        "processor": name,
        "threads": torch.get_num_threads(),
        "bfloat16": sorted(flag for flag in flags if "bf16" in flag),
        "device": torch.cuda.get_device_name() if device == "cuda" else "cpu",
        "python": platform.python_version(),
        "versions": {name: version(name) for name in ("torch", "torchvision", "torchcam", "grad-cam", "captum")},
    }


if __name__ == "__main__":
    main()
