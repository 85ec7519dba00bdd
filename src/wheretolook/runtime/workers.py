"""Worker processes for blocks of rows; graceful interruption: the first Ctrl-C is noted, the second stops at once."""

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
    """The signal that interrupted a block, if any.

    Attributes:
        signal: "SIGINT" or "SIGTERM"; empty if there was none.
    """

    def __init__(self) -> None:
        self.signal = ""
        handlers = {int(number): signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        # Ignored signals remain ignored, as under nohup.
        self._before = {
            number: handler for number, handler in handlers.items() if handler not in (signal.SIG_IGN, None)
        }

    def note(self, number: int, frame: FrameType | None) -> None:
        """Note the signal, and restore its previous handler, so that a second one stops the process."""
        self.signal = signal.Signals(number).name
        signal.signal(number, self._before[number])

    def watch(self) -> None:
        """Install the handlers."""
        for number in self._before:
            signal.signal(number, self.note)

    def unwatch(self) -> None:
        """Restore the previous handlers."""
        for number, handler in self._before.items():
            signal.signal(number, handler)


@contextmanager
def noting_interruption() -> Iterator[Interruption]:
    """In the block, the first SIGINT or SIGTERM is only noted, so that the block can save its state and stop."""
    interruption = Interruption()
    if threading.current_thread() is not threading.main_thread():
        # Only the main thread can handle signals.
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
    """Yield `work(block)` for each block, in order, computed in worker processes.

    Processes rather than threads, because Pillow's decoders hold the GIL. They are forked, which takes milliseconds and
    needs no pickling of `work`; PyTorch runs one thread in each. Outside Linux, the work is done in this process.

    Args:
        work: must not run a backward pass: PyTorch does not allow it in a fork of a process that has run one.
        blocks: slices of rows.
        count: number of processes.
        give_way: run the workers at the lowest priority, so that they do not delay the network's threads.

    Raises:
        InputError: raised by `work`.
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
        # Python 3.12 warns of forks in a process with threads; the workers use none of the threads' locks.
        warnings.filterwarnings("ignore", message=".*use of fork", category=DeprecationWarning)
        results = iter(loader)
    try:
        for result in results:
            if isinstance(result, InputError):
                raise result
            yield result
    finally:
        # Ends the workers now; after an error, the traceback would otherwise keep them alive.
        del results


def _give_way(worker: int) -> None:
    os.nice(19)


class _Work(Dataset[Result | InputError]):
    """The work as a dataset. An InputError is returned, not raised: DataLoader would add the worker's traceback."""

    def __init__(self, work: Callable[[slice], Result], blocks: Sequence[slice]):
        self.work, self.blocks = work, blocks

    def __len__(self) -> int:
        return len(self.blocks)

    def __getitem__(self, number: int) -> Result | InputError:
        try:
            return self.work(self.blocks[number])
        except InputError as error:
            return error
