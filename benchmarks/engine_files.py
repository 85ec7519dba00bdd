"""From PNG files to `.npy` on disk, decode and all, against a DataLoader with torchcam."""

import tempfile
from functools import partial
from pathlib import Path

import numpy as np
import torch
import torchcam.methods
from engine_bars import Bar, in_turn, ratio
from engine_speed import SIZE, random_network
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from wheretolook.cams.engine import build_engine
from wheretolook.cams.stream import ImageFiles, Work, create_arrays, fill_arrays
from wheretolook.networks.inputs import to_input
from wheretolook.networks.runtime.processes import Ranks
from wheretolook.sources.synthetic import write_cells

MEAN, STD = (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)


class Files(Dataset):
    """As a tutorial has it: decode, to a tensor, normalise."""

    def __init__(self, paths):
        self.paths = paths

    def __len__(self):
        return len(self.paths)

    def __getitem__(self, i):
        with Image.open(self.paths[i]) as image:
            pixels = torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1).float().div(255)
        return pixels.sub(torch.tensor(MEAN)[:, None, None]).div(torch.tensor(STD)[:, None, None])


def measure_files(count: int, batch: int, rounds: int, device: str) -> list[Bar]:
    """The maps of the first class of each file, in one `.npy`."""
    network = random_network("looknet", device)
    with tempfile.TemporaryDirectory() as folder:
        paths = _write_files(Path(folder) / "png", count)
        out = Path(folder) / "npy"
        out.mkdir()
        works = {
            "ours": partial(ours, network, paths, out, batch, device),
            "DataLoader and torchcam": partial(loader, network, paths, out, batch, device),
        }
        seconds = in_turn(works, rounds)
        found, expected = np.load(out / "cam.block4.npy")[:, 0], np.load(out / "peer.npy")
        assert np.abs(found - expected).max() < 1e-4 * np.abs(expected).max()
    return [
        ratio(
            f"{count} PNG files to .npy, DataLoader (2 workers) with torchcam over ours",
            seconds,
            "DataLoader and torchcam",
            "ours",
            2,
        )
    ]


def ours(network, paths, out: Path, batch: int, device: str) -> None:
    engine = build_engine(network, ["cam"], ["block4"], (SIZE, SIZE), fast=True)
    work = Work(engine, ("block4",), np.arange(2), lambda logits, rows: logits.new_zeros(len(logits), 1).long(), 1)
    create_arrays(out, work, len(paths))
    ranks = Ranks(0, 1, 0, torch.device(device))
    convert = lambda images: to_input(images.to(device), MEAN, STD)  # noqa: E731
    fill_arrays(out, work, ImageFiles(paths, SIZE, "stretch"), convert, batch, ranks)


def loader(network, paths, out: Path, batch: int, device: str) -> None:
    found = []
    with torchcam.methods.CAM(network, network.blocks.block4, "classifier.0") as extractor:
        for images in DataLoader(Files(paths), batch_size=batch, num_workers=2):
            with torch.inference_mode():
                network(images.to(device))
            found.append(extractor(0, normalized=False)[0].cpu().numpy())
    np.save(out / "peer.npy", np.concatenate(found))


def _write_files(folder: Path, count: int) -> list[Path]:
    """A hundred rendered cells, copied under as many names as are needed."""
    write_cells(folder / "cells", images_per_class=50, size=SIZE, seed=0, mark_shares={})
    cells = [path.read_bytes() for path in sorted((folder / "cells" / "images").rglob("*.png"))]
    paths = [folder / f"{i:05}.png" for i in range(count)]
    for i, path in enumerate(paths):
        path.write_bytes(cells[i % len(cells)])
    return paths
