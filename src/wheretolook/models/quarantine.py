"""A file that can't be trusted is opened in another process, which has only so much memory and time."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wheretolook.data.refusal import Refusal
from wheretolook.models import quarantine_child

MEBIBYTE = 1 << 20


@dataclass(frozen=True)
class Bounds:
    """What the other process may use, once its libraries are loaded.

    Attributes:
        memory: bytes.
        seconds: of wall time, and of processor time.
    """

    memory: int
    seconds: int


def bounds_for(path: Path) -> Bounds:
    """Enough for any honest file of this size: some copies of it, and a slow disk."""
    size = path.stat().st_size
    return Bounds(memory=1024 * MEBIBYTE + 6 * size, seconds=30 + size // (4 * MEBIBYTE))


def open_in_quarantine(task: str, path: Path, bounds: Bounds, **request: Any) -> None:
    """Run one of the tasks of `quarantine_child` on a file.

    Args:
        task: its name there.
        path: the file.
        bounds: memory and time.
        request: what else the task needs, as JSON can carry it.

    Raises:
        Refusal: the task refused the file, broke on it, or went beyond its bounds.
    """
    request |= {"task": task, "path": str(path), "memory": bounds.memory, "seconds": bounds.seconds}
    command = [sys.executable, "-m", quarantine_child.__name__, json.dumps(request)]
    try:
        # The child ends by itself: the longer limit here is for one that can't.
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=bounds.seconds + 60)
    except subprocess.TimeoutExpired as error:
        raise beyond(path, bounds, f"none in {bounds.seconds} s") from error
    output, errors = (stream.decode(errors="replace") for stream in (done.stdout, done.stderr))
    judge(path, bounds, done.returncode, output, errors)


def judge(path: Path, bounds: Bounds, code: int, output: str, errors: str) -> None:
    """Refuse a file by how the child ended that read it.

    Raises:
        Refusal: it refused, or it ended in any other way than with an answer.
    """
    if code < 0:
        raise beyond(path, bounds, f"a reader that had to be ended (signal {-code})")
    if code:
        last = (errors.strip().splitlines() or ["no word"])[-1][:300]
        if "memory" in last.lower() or "alloc" in last.lower():
            raise beyond(path, bounds, f"one that asks for more memory ({last})")
        raise Refusal(f"{path}: expected weights, found a file that breaks its reader ({last}); ask who made it")
    if refused := json.loads(output.splitlines()[-1]):
        raise Refusal(refused)


def beyond(path: Path, bounds: Bounds, found: str) -> Refusal:
    """The refusal of a file that used up its bounds."""
    memory = bounds.memory // MEBIBYTE
    return Refusal(
        f"{path}: expected an answer within {memory} MiB and {bounds.seconds} s, found {found}; "
        "the file is not what it seems: ask who made it"
    )
