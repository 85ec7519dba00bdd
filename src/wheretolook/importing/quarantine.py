"""Open a file that can't be trusted in another process, with limits on memory and processor time."""

import json
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wheretolook.base.errors import InputError
from wheretolook.importing import quarantine_child

MEBIBYTE = 1 << 20


@dataclass(frozen=True)
class Bounds:
    """Limits of the other process, counted from the moment when its libraries are loaded.

    Attributes:
        memory: bytes.
        seconds: of processor time. Wall time depends on what else the machine does, and says nothing of the file.
    """

    memory: int
    seconds: int

    @property
    def wall_seconds(self) -> int:
        """When to give up on a process that neither works nor ends, as one that waits for a disk."""
        return 600 + 20 * self.seconds


def bounds_for(path: Path) -> Bounds:
    """Enough for any honest file of this size: some copies of it, and a slow processor."""
    size = path.stat().st_size
    return Bounds(memory=1024 * MEBIBYTE + 6 * size, seconds=30 + size // (4 * MEBIBYTE))


def open_in_quarantine(task: str, path: Path, subject: str, bounds: Bounds, **request: Any) -> list[str]:
    """Run one of the tasks of `quarantine_child` on a file.

    Args:
        task: its name there.
        path: the file.
        subject: what a message calls the file.
        bounds: memory and processor time.
        request: what else the task needs, as JSON can carry it.

    Returns:
        What the task reports: decisions that the user should know of.

    Raises:
        InputError: the task refused the file, failed on it, or ran into a limit.
    """
    request |= {"task": task, "path": str(path), "subject": subject}
    request |= {"memory": bounds.memory, "seconds": bounds.seconds}
    command = [sys.executable, "-m", quarantine_child.__name__, json.dumps(request)]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=bounds.wall_seconds)
    except subprocess.TimeoutExpired as error:
        raise timed_out(subject, f"{bounds.wall_seconds} s") from error
    output, errors = (stream.decode(errors="replace") for stream in (done.stdout, done.stderr))
    return judge(subject, bounds, done.returncode, output, errors)


def judge(subject: str, bounds: Bounds, code: int, output: str, errors: str) -> list[str]:
    """The reports of a process that read a file, or an error by how it ended.

    Raises:
        InputError: it refused the file, or ended in any other way than with an answer.
    """
    if code == -signal.SIGXCPU:
        raise timed_out(subject, f"{bounds.seconds} s of processor time")
    if code < 0:
        raise InputError(
            subject,
            found=f"that the process which read it was killed (signal {-code}: {_signal_name(-code)})",
            hint="Run it again with more memory free; if it is killed again, the file is damaged: fetch it again, or "
            "ask for a safetensors file",
        )
    if code:
        last = (errors.strip().splitlines() or ["no message"])[-1][:300]
        if "memory" in last.lower() or "alloc" in last.lower():
            raise InputError(
                subject,
                f"a file that {bounds.memory // MEBIBYTE} MiB of memory are enough for",
                f"one that asks for more ({last})",
                "The file is damaged, or made to fill the memory: ask who made it for a safetensors file",
            )
        raise InputError(
            subject, "weights", f"a file that fails to load ({last})", "Fetch it again, or ask who made it"
        )
    answer = json.loads(output.splitlines()[-1])
    if answer["refused"]:
        raise InputError(*answer["refused"])
    return answer["reports"]


def timed_out(subject: str, limit: str) -> InputError:
    """The error for a file that took too long; it does not say whose fault that is, since nothing shows it."""
    return InputError(
        subject,
        found=f"a time-out: after {limit} the file was not read",
        hint="Run it again; if it times out again, ask who made the file for a safetensors file",
    )


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return "unknown"
