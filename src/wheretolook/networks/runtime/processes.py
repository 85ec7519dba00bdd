"""Processes of a run: several started by torchrun, worker processes, and their graceful interruption."""

import ctypes
import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from types import FrameType
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from wheretolook.base.errors import InputError

# Timeout of collective operations: other processes wait while rank 0 hashes arrays and runs random networks.
PATIENCE = timedelta(hours=6)
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class Ranks:
    """The rank of this process in the run.

    Attributes:
        rank: from 0; rank 0 writes files and prints.
        count: number of processes.
        local_rank: rank among the processes of this machine.
        device: of this process.
    """

    rank: int
    count: int
    local_rank: int
    device: torch.device

    @property
    def alone(self) -> bool:
        """Whether this is the only process; then torch.distributed is not used."""
        return self.count == 1

    @property
    def leads(self) -> bool:
        """Whether this process writes files and prints."""
        return self.rank == 0

    @property
    def first_here(self) -> int:
        """The rank of the first process on this machine; torchrun numbers processes machine by machine."""
        return self.rank - self.local_rank

    def share(self, items: Any) -> Any:
        """This process's share of a sequence or array: every `count`-th item."""
        return items[self.rank :: self.count]

    def summed(self, values: Tensor) -> Tensor:
        """The sum of a tensor over all processes."""
        if self.alone:
            return values
        from torch import distributed

        total = values.to(self.device, copy=True)
        distributed.all_reduce(total)
        return total.to(values.device)

    def agreed(self, *flags: bool) -> list[bool]:
        """For each flag, whether any process has it set; the same in all processes."""
        if self.alone:
            return list(flags)
        return [count > 0 for count in self.summed(torch.tensor(flags, dtype=torch.int64)).tolist()]

    def wait(self) -> None:
        """Wait until every process has reached this point."""
        self.agreed(True)

    def gathered(self, item: Any) -> list[Any]:
        """The items of all processes, by rank."""
        if self.alone:
            return [item]
        from torch import distributed

        everyones = [None] * self.count
        distributed.all_gather_object(everyones, item)
        return everyones

    def last_common(self, steps: set[int]) -> int:
        """The highest step that every process has; 0 if there is none."""
        return max(set.intersection(*self.gathered(steps)), default=0)


@contextmanager
def joined_ranks(environment: Mapping[str, str], device: torch.device) -> Iterator[Ranks]:
    """Join the processes that torchrun started; without torchrun there is only this process.

    Args:
        environment: environment variables of this process; torchrun sets the rank in it.
        device: the chosen device; for "cuda" without an index each process of a machine uses its own.

    Raises:
        InputError: more processes on this machine than CUDA devices, or one device for several processes.
    """
    if "TORCHELASTIC_RUN_ID" not in environment:
        yield Ranks(0, 1, 0, device)
        return
    _end_with_parent()
    rank, count, local = (int(environment[name]) for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"))
    if device.type == "cuda":
        device = _own_device(device, local, count)
        torch.cuda.set_device(device)  # used by NCCL
    from torch import distributed

    distributed.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=PATIENCE)
    try:
        yield Ranks(rank, count, local, device)
    finally:
        distributed.destroy_process_group()


def _own_device(device: torch.device, local: int, count: int) -> torch.device:
    """The CUDA device of one of several processes.

    Raises:
        InputError: more processes on this machine than devices, or one device for several processes.
    """
    if device.index is not None and count > 1:
        raise InputError(
            f'device "{device}"',
            expected=f'"cuda", so that each of the {count} processes uses its own device',
            found="one device for all",
            hint="set WHERETOLOOK_DEVICE=cuda",
        )
    available = torch.cuda.device_count()
    if local >= available:
        raise InputError(
            "torchrun",
            expected=f"at most {available} processes on this machine, one per CUDA device",
            found=f"process {local + 1}",
            hint="lower --nproc-per-node in WTL_LAUNCH",
        )
    return torch.device("cuda", local) if device.index is None else device


def _end_with_parent() -> None:
    """On Linux, have the kernel terminate this process when its parent dies.

    torchrun terminates its workers on SIGTERM, but not when it is killed: they would keep writing the files that the
    next run writes.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


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
