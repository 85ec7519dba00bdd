"""Maps of many images: batch by batch from a memory-mapped array, in place into `.npy` opened for writing."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from wheretolook.cams.ahead import read_ahead
from wheretolook.cams.compute import Batch
from wheretolook.cams.engine import Engine
from wheretolook.cams.files import ImageFiles
from wheretolook.cams.manifest import LOGITS, array_name
from wheretolook.cams.methods.method import Method
from wheretolook.cams.parts import ChooseRows, compute_in_parts
from wheretolook.models.ranks import Ranks


@dataclass(frozen=True)
class Work:
    """What is streamed.

    Attributes:
        engine: the maps to take.
        heads: layers whose logits are kept, first to last.
        columns: (K,) of the network's logits, in the order in which classes are stored.
        choose: classes of images `rows` to explain, out of their logits (n, network's classes): (n, K) int64.
        map_count: how many classes that is.
    """

    engine: Engine
    heads: tuple[str, ...]
    columns: np.ndarray
    choose: ChooseRows
    map_count: int

    def columns_of(self, method: Method) -> int:
        """How many maps of an image the method gives."""
        return self.map_count + (self.engine.with_mean and method.linear) if method.knows_class else 1


def create_arrays(folder: Path, work: Work, count: int) -> None:
    """Create every array of the export at its full size, holes for now."""
    for name, shape in shapes(work, count).items():
        np.lib.format.open_memmap(folder / name, mode="w+", dtype=np.float32, shape=shape).flush()


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
    """
    arrays = {name: np.load(folder / name, mmap_mode="r+") for name in shapes(work, len(images))}
    blocks = [slice(start, min(start + batch_size, len(images))) for start in range(0, len(images), batch_size)]
    mine = ranks.share(blocks)
    read = zip(mine, read_ahead(images, mine), strict=True)
    for rows, block in tqdm(read, total=len(mine), unit="batch", disable=None if ranks.leads else True):
        inputs = to_input(block)
        for part, batch in compute_in_parts(work.engine, inputs, rows, work.choose):
            store(arrays, work, part, batch)
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
