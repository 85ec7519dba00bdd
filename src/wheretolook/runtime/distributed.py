"""The processes of one run. One, unless torchrun started several; then they share the work by rank."""

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

# Rank 0 hashes arrays and runs random networks while the others wait for it.
PATIENCE = timedelta(hours=6)
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class Ranks:
    """This process among those of the run.

    Attributes:
        rank: from 0; rank 0 writes and speaks.
        count: how many processes there are.
        local_rank: this process among those of its machine.
        device: where this process works.
    """

    rank: int
    count: int
    local_rank: int
    device: torch.device

    @property
    def alone(self) -> bool:
        """Whether there is no other process; then nothing of torch.distributed is touched."""
        return self.count == 1

    @property
    def leads(self) -> bool:
        """Whether this process writes and speaks."""
        return self.rank == 0

    @property
    def first_here(self) -> int:
        """The rank of the first process of this one's machine: torchrun numbers them machine by machine."""
        return self.rank - self.local_rank

    def share(self, items: Any) -> Any:
        """This process's share of a sequence or an array: every count-th."""
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
        """Each flag, as soon as any process has it set: so that all do the same at the same step."""
        if self.alone:
            return list(flags)
        return [count > 0 for count in self.summed(torch.tensor(flags, dtype=torch.int64)).tolist()]

    def wait(self) -> None:
        """Until every process has come here."""
        self.agreed(True)

    def gathered(self, item: Any) -> list[Any]:
        """What each process gives, by rank."""
        if self.alone:
            return [item]
        from torch import distributed

        everyones = [None] * self.count
        distributed.all_gather_object(everyones, item)
        return everyones

    def last_common(self, steps: set[int]) -> int:
        """The highest step that every process has; 0 where there is none."""
        return max(set.intersection(*self.gathered(steps)), default=0)


@contextmanager
def joined_ranks(environment: Mapping[str, str], device: torch.device) -> Iterator[Ranks]:
    """Join the processes that torchrun started; without torchrun this process is alone.

    Args:
        environment: of this process; torchrun says in it which one it is.
        device: the chosen one; on CUDA without a number each process of a machine takes its own.

    Raises:
        InputError: more processes on this machine than it has CUDA devices, or one device named for several.
    """
    if "TORCHELASTIC_RUN_ID" not in environment:
        yield Ranks(0, 1, 0, device)
        return
    _end_with_parent()
    rank, count, local = (int(environment[name]) for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"))
    if device.type == "cuda":
        device = _own_device(device, local, count)
        torch.cuda.set_device(device)  # what torch.distributed talks over
    from torch import distributed

    distributed.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=PATIENCE)
    try:
        yield Ranks(rank, count, local, device)
    finally:
        distributed.destroy_process_group()


def _own_device(device: torch.device, local: int, count: int) -> torch.device:
    """The CUDA device of one of several processes.

    Raises:
        InputError: more processes on this machine than it has devices, or one device named for several.
    """
    if device.index is not None and count > 1:
        raise InputError(
            f'device "{device}"',
            expected=f'"cuda", of which each of the {count} processes takes one',
            found="one for all",
            hint="set WHERETOLOOK_DEVICE=cuda",
        )
    there = torch.cuda.device_count()
    if local >= there:
        raise InputError(
            "torchrun",
            expected=f"no more processes than CUDA devices on this machine, {there}",
            found=f"process {local + 1}",
            hint="lower --nproc-per-node in WTL_LAUNCH",
        )
    return torch.device("cuda", local) if device.index is None else device


def _end_with_parent() -> None:
    """Have the kernel end this process when its parent dies, on Linux; elsewhere do nothing.

    torchrun ends its workers when it is told to end, but not when it is killed outright: they would go on writing
    while the next run already writes the same files.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
