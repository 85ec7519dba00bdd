"""The processes of a run: one, or several started by torchrun, which share the work by rank."""

import ctypes
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
from torch import Tensor

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
