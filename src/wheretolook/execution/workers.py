"""Blocks of images, worked on by other processes, in turn."""

import os
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from torch.utils.data import DataLoader, Dataset

from wheretolook.data.refusal import Refusal

Result = TypeVar("Result")


def in_workers(
    work: Callable[[slice], Result], blocks: Sequence[slice], count: int, give_way: bool = False
) -> Iterator[Result]:
    """What `work` makes of each block, in the order of the blocks.

    Processes, not threads: Pillow's decoders hold Python's lock, so that threads would take turns, with each other and
    with the network. They are forked, which costs milliseconds and hands over `work` as it is; PyTorch has each of them
    run on one thread. Where a system can't fork, the work is done here.

    Args:
        work: must not run a backward pass, which PyTorch refuses in a fork of a process that has run one.
        blocks: of rows.
        count: processes.
        give_way: let them have what this process leaves of the cores: one thread of a network that is put off holds up
            all the others.

    Raises:
        Refusal: as `work` does.
    """
    forks = sys.platform == "linux"
    loader = DataLoader(
        _Work(work, blocks),
        batch_size=None,
        num_workers=count if forks else 0,
        multiprocessing_context="fork" if forks else None,
        worker_init_fn=_give_way if forks and give_way else None,
    )
    with warnings.catch_warnings():
        # Python 3.12 warns of any fork while threads run; these children take none of their locks.
        warnings.filterwarnings("ignore", message=".*use of fork", category=DeprecationWarning)
        results = iter(loader)
    try:
        for result in results:
            if isinstance(result, Refusal):
                raise result
            yield result
    finally:
        # The workers end with it: now, and not when an error's traceback, which holds on to this frame, is forgotten.
        del results


def _give_way(worker: int) -> None:
    os.nice(19)


class _Work(Dataset[Result | Refusal]):
    """The work on each block. A refusal is handed over as it is: raised, it would come with a worker's traceback."""

    def __init__(self, work: Callable[[slice], Result], blocks: Sequence[slice]):
        self.work, self.blocks = work, blocks

    def __len__(self) -> int:
        return len(self.blocks)

    def __getitem__(self, number: int) -> Result | Refusal:
        try:
            return self.work(self.blocks[number])
        except Refusal as refusal:
            return refusal
