"""Image files, read as if they stood in one array."""

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from wheretolook.base.errors import InputError
from wheretolook.base.resources import create_array, usable_cores
from wheretolook.cams.compute import Batch, ChooseRows, Say, compute_in_parts
from wheretolook.cams.engine import Engine
from wheretolook.cams.methods.method import Method
from wheretolook.images.decode import decode_image, to_square
from wheretolook.layers.layout import SHOWN, NotFinite
from wheretolook.mapstore.store import LOGITS, array_name
from wheretolook.runtime.distributed import Ranks
from wheretolook.runtime.resumable import Journal
from wheretolook.runtime.workers import in_workers, noting_interruption


@dataclass(frozen=True)
class ImageFiles:
    """Files as an array of images (N, S, S, 3) uint8 that is never whole in memory: `files[0:64]` decodes 64.

    Attributes:
        paths: the files, in order.
        size: S, pixels.
        fit: how an image becomes a square: "stretch", "pad" or "crop".
    """

    paths: Sequence[Path]
    size: int
    fit: str

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, rows: slice) -> np.ndarray:
        """Decode some images, (n, S, S, 3) uint8.

        Raises:
            InputError: a file is no image.
        """
        return np.stack([self.read(path) for path in self.paths[rows]])

    def read(self, path: Path) -> np.ndarray:
        """Decode one image, (S, S, 3) uint8.

        Raises:
            InputError: the file is no image.
        """
        return to_square(decode_image(path), self.size, self.fit)


@dataclass(frozen=True)
class Work:
    """What is streamed.

    Attributes:
        engine: the maps to take.
        heads: layers whose logits are kept, first to last.
        columns: (K,) of the network's logits, in the order in which classes are stored.
        choose: classes of images `rows` to explain, out of their logits (n, network's classes): (n, K) int64.
        map_count: how many classes that is.
        image_ids: of all images, for what must be said of one; empty: their rows stand for them.
    """

    engine: Engine
    heads: tuple[str, ...]
    columns: np.ndarray
    choose: ChooseRows
    map_count: int
    image_ids: Sequence[str] = ()

    def columns_of(self, method: Method) -> int:
        """How many maps of an image the method gives."""
        return self.map_count + (self.engine.with_mean and method.linear) if method.knows_class else 1


def create_arrays(folder: Path, work: Work, count: int) -> None:
    """Create every array of the export at its full size, its space taken on the disk."""
    for name, shape in shapes(work, count).items():
        create_array(folder / name, shape, np.float32).flush()


def shapes(work: Work, count: int) -> dict[str, tuple[int, ...]]:
    """Shape of each array, by file name."""
    found: dict[str, tuple[int, ...]] = {
        array_name(m.name, y.name): (count, work.columns_of(m), *y.places) for m, y in work.engine.pairs
    }
    return found | {LOGITS: (count, len(work.heads), len(work.columns))}


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

    Memory does not grow with the number of images: they are read, and maps written, as pages of mapped files.

    Args:
        folder: where `create_arrays` was.
        work: what to take.
        images: (N, H, W, 3) uint8, memory-mapped; or files.
        to_input: a block of images (n, H, W, 3) uint8, to the network's input on its device.
        batch_size: images a forward pass. On a GPU whose memory is too small the batch is halved.
        ranks: the processes that share the work.
        journal: of this rank; blocks that it has are left as they are.
        command: which says what there is to say.

    Raises:
        InputError: NaN or infinity in a map or in logits, with the layer and the images; or an interruption.
    """
    arrays = {name: np.load(folder / name, mmap_mode="r+") for name in shapes(work, len(images))}
    blocks = [slice(start, min(start + batch_size, len(images))) for start in range(0, len(images), batch_size)]
    mine = [rows for rows in ranks.share(blocks) if journal is None or not journal.has(rows)]
    say = _once(lambda line: tqdm.write(f"{command}: {line}", file=sys.stderr))

    def fill(rows: slice, block: Tensor) -> None:
        for part, batch in _computed(work, to_input(block), rows, say):
            store(arrays, work, part, batch)

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
    """Fill block by block; give each that is done.

    Files take as long to decode as maps to compute. On a CPU each core does both for a block of its own, where it may
    (no backward pass in a fork); else other processes decode ahead of the network.
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


def _stop(journal: Journal | None, arrays: dict[str, np.memmap], why: str, count: int) -> None:
    """End in order, where somebody asked for it."""
    if journal is None:
        raise InputError(why, hint="nothing is saved: run it again")
    journal.save(partial(_flush, arrays))
    raise InputError(
        f"{why} after {len(journal)} of {count} batches",
        hint='all of it is saved: the same command, or "dvc repro", goes on from there',
    )


def _computed(work: Work, inputs: Tensor, rows: slice, say: Say) -> list[tuple[slice, Batch]]:
    try:
        return compute_in_parts(work.engine, inputs, rows, work.choose, say)
    except NotFinite as error:
        if not work.image_ids:
            raise
        names = [work.image_ids[place] for place in error.places[:SHOWN]]
        raise NotFinite(error.what, error.places, names) from error


def _once(say: Say) -> Say:
    """Say each line but once: what is true of one batch is true of the next."""
    said: set[str] = set()
    return lambda line: None if line in said or said.add(line) else say(line)


def _flush(arrays: dict[str, np.memmap]) -> None:
    for array in arrays.values():
        array.flush()


def store(arrays: dict[str, np.ndarray], work: Work, rows: slice, batch: Batch) -> None:
    """Write a batch to its rows."""
    for (method, layer), maps in batch.maps.items():
        arrays[array_name(method, layer)][rows] = maps.cpu().numpy()
    logits = torch.stack([_logits(batch, work, layer) for layer in work.heads], 1)
    arrays[LOGITS][rows] = logits.cpu().numpy()[:, :, work.columns]


def _logits(batch: Batch, work: Work, layer: str) -> Tensor:
    return batch.logits if layer == work.heads[-1] else batch.head_logits[layer]
