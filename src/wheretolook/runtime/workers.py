"""Ctrl-C once: end in order. Twice: stop at once."""

import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import TypeVar

from torch.utils.data import DataLoader, Dataset

from wheretolook.base.errors import InputError


class Interruption:
    """Whether the block was asked to end, and by which signal.

    Attributes:
        signal: "SIGINT" or "SIGTERM"; empty as long as nobody asked.
    """

    def __init__(self) -> None:
        self.signal = ""
        handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        # Who started the process may have it ignore Ctrl-C, as nohup does.
        self._before = {
            number: handler for number, handler in handlers.items() if handler not in (signal.SIG_IGN, None)
        }

    def note(self, number: int, frame: FrameType | None) -> None:
        """Note the signal; the same one again does what it did before the block: it stops the process."""
        self.signal = signal.Signals(number).name
        signal.signal(number, self._before[number])

    def watch(self) -> None:
        """Note signals from now on."""
        for number in self._before:
            signal.signal(number, self.note)

    def unwatch(self) -> None:
        """Leave signals to those that had them before."""
        for number, handler in self._before.items():
            signal.signal(number, handler)


@contextmanager
def noting_interruption() -> Iterator[Interruption]:
    """Within the block, Ctrl-C and TERM are only noted the first time, so that the block can end in order."""
    interruption = Interruption()
    if threading.current_thread() is not threading.main_thread():
        # Signals go to the main thread; another one can neither see nor set them.
        yield interruption
        return
    interruption.watch()
    try:
        yield interruption
    finally:
        interruption.unwatch()


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
        InputError: as `work` does.
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
            if isinstance(result, InputError):
                raise result
            yield result
    finally:
        # The workers end with it: now, and not when an error's traceback, which holds on to this frame, is forgotten.
        del results


def _give_way(worker: int) -> None:
    os.nice(19)


class _Work(Dataset[Result | InputError]):
    """The work on each block. A refusal is handed over as it is: raised, it would come with a worker's traceback."""

    def __init__(self, work: Callable[[slice], Result], blocks: Sequence[slice]):
        self.work, self.blocks = work, blocks

    def __len__(self) -> int:
        return len(self.blocks)

    def __getitem__(self, number: int) -> Result | InputError:
        try:
            return self.work(self.blocks[number])
        except InputError as refusal:
            return refusal
