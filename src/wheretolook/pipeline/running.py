"""Whether a dvc is at work in a project, and none while we are: by the locks that DVC itself takes.

DVC holds .dvc/tmp/lock while it reads and writes, and lets go of it while it waits for a stage; then .dvc/tmp/rwlock
names its process. The locks are the kernel's (core.hardlink_lock is not set here): one ends with its process, and only
its file stays.
"""

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

# The library that DVC locks by, and the one that it asks for processes; dvc itself takes a second to import.
import psutil
from zc.lockfile import LockError, LockFile

# rwlock.lock guards rwlock, which a dvc also writes at the end of a stage, perhaps before it has the first one again.
LOCKS = ("lock", "rwlock.lock")
_PID = re.compile(r'"pid": (\d+)')
_SECONDS = 5  # by which the clocks of processes and of files may differ


@contextmanager
def without_dvc(tmp: Path) -> Iterator[str]:
    """Keep every dvc out for the length of the block, unless one is at work already.

    Args:
        tmp: .dvc/tmp of the project.

    Yields:
        Which one is at work, in words; "" for none, and none can begin before the block ends.
    """
    with ExitStack() as held:
        yield _hold(held, tmp) or _waiting(tmp / "rwlock")


def _hold(held: ExitStack, tmp: Path) -> str:
    """Take both locks; in words who has one of them, "" where they are ours."""
    for name in LOCKS if tmp.is_dir() else ():  # every command of DVC makes the folder first
        try:
            held.callback(LockFile(tmp / name).close)
        except LockError:
            return f"a dvc holds {tmp / name}"
    return ""


def _waiting(rwlock: Path) -> str:
    """A dvc that waits for its stage, in words. A cut file still names those that stand before the cut."""
    if not rwlock.exists():
        return ""
    text, written = rwlock.read_text(encoding="utf-8", errors="replace"), rwlock.stat().st_mtime
    for number in dict.fromkeys(_PID.findall(text)):
        if _runs(int(number), written):
            return f"process {number}, a dvc, waits for a stage"
    return ""


def _runs(pid: int, written: float) -> bool:
    """Whether a process that was named at that time still runs: not a zombie, nor a later one of the same number."""
    try:
        process = psutil.Process(pid)
        return process.status() != psutil.STATUS_ZOMBIE and process.create_time() <= written + _SECONDS
    except (psutil.NoSuchProcess, OverflowError):
        return False
    except psutil.AccessDenied:
        return True
