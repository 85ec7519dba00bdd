"""Stream images of any number through the engine into memory-mapped arrays."""

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NoReturn

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from wheretolook.base.errors import InputError
from wheretolook.base.resources import create_array, usable_cores
from wheretolook.cams.batching import ChooseRows, Report, compute_batched
from wheretolook.cams.compute import Batch
from wheretolook.cams.engine import Engine
from wheretolook.cams.methods.method import Method
from wheretolook.images.decode import decode_image, to_square
from wheretolook.mapstore.store import LOGITS, array_name
from wheretolook.networks.layers.layout import SHOWN, NotFinite
from wheretolook.networks.runtime.processes import Ranks, in_workers, noting_interruption
from wheretolook.networks.runtime.resumable import Journal


@dataclass(frozen=True)
class ImageFiles:
    """Image files as a lazy array (N, S, S, 3) uint8: `files[0:64]` decodes 64 images.

    Attributes:
        paths: the files, in order.
        size: S, pixels.
        fit: how an image is made square: "stretch", "pad" or "crop".
    """

    paths: Sequence[Path]
    size: int
    fit: str

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, rows: slice) -> np.ndarray:
        """Decode some images, (n, S, S, 3) uint8.

        Raises:
            InputError: a file cannot be decoded.
        """
        return np.stack([self.read(path) for path in self.paths[rows]])

    def read(self, path: Path) -> np.ndarray:
        """Decode one image, (S, S, 3) uint8.

        Raises:
            InputError: the file cannot be decoded.
        """
        return to_square(decode_image(path), self.size, self.fit)


@dataclass(frozen=True)
class Work:
    """The maps and logits to store.

    Attributes:
        engine: the network and the maps to compute.
        heads: layers whose logits are stored, first to last.
        columns: (classes,) indices of the network's logits, in the order in which classes are stored.
        choose: returns the classes to explain, (n, K) int64, given logits (n, network's classes) and the images' rows.
        map_count: K, without the mean.
        image_ids: of all images, for messages; empty: messages use row numbers.
    """

    engine: Engine
    heads: tuple[str, ...]
    columns: np.ndarray
    choose: ChooseRows
    map_count: int
    image_ids: Sequence[str] = ()

    def columns_of(self, method: Method) -> int:
        """Number of maps that the method gives per image."""
        return self.map_count + (self.engine.with_mean and method.linear) if method.knows_class else 1


def create_arrays(folder: Path, work: Work, count: int) -> None:
    """Create every array at its full size; disk space is allocated now, so a full disk is noticed here."""
    for name, shape in shapes(work, count).items():
        create_array(folder / name, shape, np.float32).flush()


def shapes(work: Work, count: int) -> dict[str, tuple[int, ...]]:
    """Shape of each array, by file name."""
    maps: dict[str, tuple[int, ...]] = {
        array_name(method.name, layer.name): (count, work.columns_of(method), *layer.places)
        for method, layer in work.engine.pairs
    }
    return maps | {LOGITS: (count, len(work.heads), len(work.columns))}


def fill_arrays(
    folder: Path,
    work: Work,
    images: np.ndarray | ImageFiles,
    to_input: Callable[[Tensor], Tensor],
    batch_size: int,
    ranks: Ranks,
    journal: Journal | None = None,
    command: str = "export",
) -> None:
    """Fill the arrays with the maps of this rank's share of the batches.

    Memory use does not depend on the number of images: images and maps are memory-mapped.

    Args:
        folder: the folder that `create_arrays` filled.
        work: the maps and logits to store.
        images: (N, H, W, 3) uint8, memory-mapped; or files.
        to_input: converts images (n, H, W, 3) uint8 to the network's input on its device.
        batch_size: images per forward pass. It is halved while a GPU's memory is too small.
        ranks: the processes that share the work; each calls this function.
        journal: of this rank; batches that it lists are skipped.
        command: its name begins each message.

    Raises:
        InputError: NaN or infinity in a map or the logits (the message names layer and images); or an interruption.
    """
    arrays = {name: np.load(folder / name, mmap_mode="r+") for name in shapes(work, len(images))}
    blocks = [slice(start, min(start + batch_size, len(images))) for start in range(0, len(images), batch_size)]
    mine = [rows for rows in ranks.share(blocks) if journal is None or not journal.has(rows)]
    report = _once(lambda line: tqdm.write(f"{command}: {line}", file=sys.stderr))

    def fill(rows: slice, block: Tensor) -> None:
        for batch_rows, batch in _compute(work, to_input(block), rows, report):
            store(arrays, work, batch_rows, batch)

    with noting_interruption() as interruption:
        filled = _filled(images, mine, fill, work.engine)
        for rows in tqdm(filled, total=len(mine), unit="batch", disable=None if ranks.leads else True):
            if journal is not None:
                journal.note(rows, partial(_flush, arrays))
            if interruption.signal:
                _stop(journal, arrays, f"{command}: {interruption.signal}", len(blocks))
    _flush(arrays)


def _filled(
    images: np.ndarray | ImageFiles, blocks: Sequence[slice], fill: Callable[[slice, Tensor], None], engine: Engine
) -> Iterator[slice]:
    """Fill one batch after the other; yields the rows of each finished batch.

    Decoding files takes as long as computing maps. On a CPU each core does both for its own batch, unless backward
    passes are needed, which PyTorch does not allow in a forked process. Otherwise other processes decode ahead.
    """
    files = isinstance(images, ImageFiles)

    def read(rows: slice) -> Tensor:
        return torch.from_numpy(np.array(images[rows]))

    def read_and_fill(rows: slice) -> slice:
        fill(rows, read(rows))
        return rows

    if files and engine.device.type == "cpu" and not engine.backward:
        yield from in_workers(read_and_fill, blocks, torch.get_num_threads())
        return
    ahead = in_workers(read, blocks, usable_cores(), give_way=True) if files else map(read, blocks)
    for rows, block in zip(blocks, ahead, strict=True):
        fill(rows, block)
        yield rows


def _stop(journal: Journal | None, arrays: dict[str, np.memmap], signal: str, count: int) -> NoReturn:
    """Save and stop after SIGINT or SIGTERM."""
    if journal is None:
        raise InputError(signal, hint="nothing was saved; run the command again")
    journal.save(partial(_flush, arrays))
    raise InputError(
        f"{signal} after {len(journal)} of {count} batches",
        hint='finished batches are saved; the same command, or "dvc repro", resumes there',
    )


def _compute(work: Work, inputs: Tensor, rows: slice, report: Report) -> list[tuple[slice, Batch]]:
    try:
        return compute_batched(work.engine, inputs, rows, work.choose, report)
    except NotFinite as error:
        if not work.image_ids:
            raise
        names = [work.image_ids[place] for place in error.places[:SHOWN]]
        raise NotFinite(error.what, error.places, names) from error


def _once(report: Report) -> Report:
    """Report each line only once, since the next batch would repeat it."""
    reported: set[str] = set()

    def first(line: str) -> None:
        if line not in reported:
            reported.add(line)
            report(line)

    return first


def _flush(arrays: dict[str, np.memmap]) -> None:
    for array in arrays.values():
        array.flush()


def store(arrays: dict[str, np.ndarray], work: Work, rows: slice, batch: Batch) -> None:
    """Write a batch to its rows of the arrays."""
    for (method, layer), maps in batch.maps.items():
        arrays[array_name(method, layer)][rows] = maps.cpu().numpy()
    logits = torch.stack([_logits(batch, work, layer) for layer in work.heads], 1)
    arrays[LOGITS][rows] = logits.cpu().numpy()[:, :, work.columns]


def _logits(batch: Batch, work: Work, layer: str) -> Tensor:
    return batch.logits if layer == work.heads[-1] else batch.head_logits[layer]
