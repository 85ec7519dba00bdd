"""Blocks of images, read while the network is at work on those before."""

import os
import sys
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from wheretolook.cams.files import ImageFiles
from wheretolook.data.refusal import Refusal


def read_ahead(images: np.ndarray | ImageFiles, blocks: Sequence[slice]) -> Iterator[Tensor]:
    """Each block of images in turn, (n, S, S, 3) uint8.

    Files are decoded by other processes, one for each core: Pillow's decoders hold Python's lock, so that threads
    would take turns, with each other and with the network. They are forked, which costs milliseconds; where a system
    can't fork, files are decoded here.

    Args:
        images: (N, S, S, 3) uint8, memory-mapped; or files.
        blocks: which rows, in the order in which they are wanted.

    Raises:
        Refusal: a file is no image.
    """
    if not isinstance(images, ImageFiles):
        for rows in blocks:
            yield torch.from_numpy(np.array(images[rows]))
        return
    forks = sys.platform == "linux"
    loader = DataLoader(
        _Decoded(images, blocks),
        batch_size=None,
        num_workers=(os.cpu_count() or 1) if forks else 0,
        multiprocessing_context="fork" if forks else None,
        worker_init_fn=_give_way if forks else None,
    )
    for block in loader:
        if isinstance(block, Refusal):
            raise block
        yield block


def _give_way(worker: int) -> None:
    """Decode while the network waits: one of its threads put off by a decoder holds up all the others."""
    os.nice(19)


class _Decoded(Dataset[Tensor | Refusal]):
    """Blocks of decoded files. A refusal is handed over as it is: raised, it would come with the worker's traceback."""

    def __init__(self, files: ImageFiles, blocks: Sequence[slice]):
        self.files, self.blocks = files, blocks

    def __len__(self) -> int:
        return len(self.blocks)

    def __getitem__(self, number: int) -> Tensor | Refusal:
        try:
            return torch.from_numpy(self.files[self.blocks[number]])
        except Refusal as refusal:
            return refusal
