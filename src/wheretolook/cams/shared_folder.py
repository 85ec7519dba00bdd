"""One folder that several processes fill together, and that appears under its name when all are done."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from wheretolook.data.atomic import replacing_folder
from wheretolook.models.ranks import Ranks


@contextmanager
def replacing_shared_folder(path: Path, ranks: Ranks) -> Iterator[Path]:
    """One scratch folder for all ranks; it replaces `path` when every rank has come to the end of the block."""
    if ranks.device.type == "cuda":
        torch.cuda.set_device(ranks.device)  # what torch.distributed talks over
    if not ranks.leads:
        yield _told(None, ranks)
        wait(ranks)
        return
    with replacing_folder(path) as scratch:
        yield _told(scratch, ranks)
        wait(ranks)


def wait(ranks: Ranks) -> None:
    """Wait until every rank is here."""
    if not ranks.alone:
        torch.distributed.barrier()


def _told(path: Path | None, ranks: Ranks) -> Path:
    """What rank 0 says."""
    told = [path]
    if not ranks.alone:
        torch.distributed.broadcast_object_list(told)
    return told[0]
