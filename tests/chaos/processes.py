"""A dvc in a session of its own, and every process that comes of it, wherever it has gone."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.pipeline.project import environment

MARK = "WTL_CHAOS"  # in the environment of each process of a project: it's inherited, whoever the parent is


def chaos_environment(root: Path) -> dict[str, str]:
    """The environment of a run: one thread, lines as they come, and the mark."""
    return environment() | {"OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1", MARK: str(root)}


def start_dvc(root: Path) -> subprocess.Popen[str]:
    """Start `dvc repro` as the leader of its own process group, as a shell does; its output is one pipe."""
    return subprocess.Popen(
        [sys.executable, "-m", "dvc", "repro"],
        cwd=root,
        env=chaos_environment(root),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def heed_interrupts() -> None:
    """Let processes started from here die of SIGINT: who runs in a shell's background inherits that it's ignored."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def alive(root: Path) -> list[int]:
    """Processes of the project that run; a zombie is not alive."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                marked = f"{MARK}={root}\0".encode() in (entry / "environ").read_bytes() + b"\0"
                state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
            except OSError:
                continue
            if marked and state not in "ZX":
                found.append(int(entry.name))
    return found


def stages_of(dvc: int) -> list[int]:
    """The processes that dvc itself started and that run."""
    try:
        children = Path(f"/proc/{dvc}/task/{dvc}/children").read_text().split()
    except OSError:
        return []
    return [int(child) for child in children]


def wait_until_gone(root: Path, seconds: float) -> list[int]:
    """Wait until no process of the project runs; gives those that are left, and ends them."""
    until = time.monotonic() + seconds
    while (left := alive(root)) and time.monotonic() < until:
        time.sleep(0.05)
    for process in left:
        send(process, signal.SIGKILL)
    return left


def send(process: int, number: int) -> bool:
    """Send a signal; gives whether there was such a process."""
    try:
        os.kill(process, number)
    except ProcessLookupError:
        return False
    return True
