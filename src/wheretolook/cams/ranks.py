"""The processes that share one export: PyTorch's own launcher starts them, here they find each other."""

import ctypes
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.distributed as dist

from wheretolook.data.atomic import replacing_folder

PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class Ranks:
    """This process among those that share the work.

    Attributes:
        rank: 0 is the one that creates, hashes and names files.
        count: how many there are; 1 without a launcher.
    """

    rank: int
    count: int

    def share(self, items: list) -> list:
        """This rank's part: every `count`-th item."""
        return items[self.rank :: self.count]

    def device(self, device: torch.device) -> torch.device:
        """A GPU of this rank's own, where the machine has several and none was named by number."""
        if device.type != "cuda" or device.index is not None or self.count == 1:
            return device
        return torch.device("cuda", dist.get_node_local_rank(self.rank) % torch.cuda.device_count())

    def wait(self) -> None:
        """Wait until every rank is here."""
        if self.count > 1:
            dist.barrier()

    @contextmanager
    def replacing_folder(self, path: Path) -> Iterator[Path]:
        """One scratch folder for all ranks, which replaces `path` when every rank has come to the end."""
        if self.rank == 0:
            with replacing_folder(path) as scratch:
                self._tell(scratch)
                yield scratch
                self.wait()
        else:
            yield self._tell(None)
            self.wait()

    def _tell(self, path: Path | None) -> Path:
        told = [path]
        if self.count > 1:
            dist.broadcast_object_list(told)
        return told[0]


@contextmanager
def joined() -> Iterator[Ranks]:
    """Join the processes that torchrun started; alone where it did not."""
    if not dist.is_torchelastic_launched():
        yield Ranks(0, 1)
        return
    _die_with_parent()
    dist.init_process_group("gloo")
    try:
        yield Ranks(dist.get_rank(), dist.get_world_size())
    finally:
        dist.destroy_process_group()


def _die_with_parent() -> None:
    """End with the launcher, however that ends: no second writer may meet a forgotten one."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
