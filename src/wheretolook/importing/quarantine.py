"""Quarantine: an untrusted file is opened in another process, with limits on memory and processor time."""

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
    """Limits of the quarantine process, beyond what its imports need.

    Attributes:
        memory: bytes.
        seconds: of processor time; wall time also depends on the load of the machine.
    """

    memory: int
    seconds: int

    @property
    def wall_seconds(self) -> int:
        """Timeout for a process that uses no processor time, such as one that waits for a disk."""
        return 600 + 20 * self.seconds


def bounds_for(path: Path) -> Bounds:
    """Limits for a file by its size: enough for several copies in memory and a slow processor."""
    size = path.stat().st_size
    return Bounds(memory=1024 * MEBIBYTE + 6 * size, seconds=30 + size // (4 * MEBIBYTE))


def open_in_quarantine(task: str, path: Path, subject: str, bounds: Bounds, **request: Any) -> list[str]:
    """Run one of the tasks of `quarantine_child` on a file.

    Args:
        task: name of the task.
        path: the file.
        subject: its name in messages.
        bounds: limits of memory and processor time.
        request: further arguments of the task, as JSON values.

    Returns:
        Lines for the user about choices that were made.

    Raises:
        InputError: the task rejected the file, failed, or exceeded a limit.
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
    """The lines that a quarantine process reported, or an error by its exit status.

    Args:
        subject: name of the file in messages.
        bounds: limits of the process.
        code: exit status; negative for a signal.
        output: its stdout.
        errors: its stderr.

    Raises:
        InputError: the process rejected the file, failed, or was killed.
    """
    if code == -signal.SIGXCPU:
        raise timed_out(subject, f"{bounds.seconds} s of processor time")
    if code < 0:
        raise InputError(
            subject,
            expected="a file that can be loaded",
            found=f"signal {-code} ({_signal_name(-code)}) in the process that loaded it",
            hint="Free memory and run it again. If it happens again, the file is damaged: download it again, or ask "
            "for a safetensors file",
        )
    if code:
        last = (errors.strip().splitlines() or ["no message"])[-1][:300]
        if "memory" in last.lower() or "alloc" in last.lower():
            raise InputError(
                subject,
                f"a file that loads within {bounds.memory // MEBIBYTE} MiB of memory",
                f"more ({last})",
                "The file is damaged or malicious: ask who made it for a safetensors file",
            )
        raise InputError(
            subject, "a file that can be loaded", f"an error ({last})", "Download it again, or ask who made it"
        )
    answer = json.loads(output.splitlines()[-1])
    if answer["refused"]:
        raise InputError(*answer["refused"])
    return answer["reports"]


def timed_out(subject: str, limit: str) -> InputError:
    """The error for a timeout; it does not blame the file, since the machine may be slow."""
    return InputError(
        subject,
        expected="a file that can be loaded",
        found=f"a timeout after {limit}",
        hint="Run it again. If it times out again, ask who made the file for a safetensors file",
    )


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return "unknown"
