"""Whether a dvc is at work in a project, and none while we are: by the locks that DVC itself takes.

DVC holds .dvc/tmp/lock while it reads and writes, and lets go of it while it waits for a stage; then .dvc/tmp/rwlock
names its process. The locks are the kernel's (core.hardlink_lock is not set here): one ends with its process, and only
its file stays.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

# The library that DVC locks by, and the one that it asks for processes; dvc itself takes a second to import.
import psutil
from zc.lockfile import LockError, LockFile

from wheretolook.base.resources import naming

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


def dvc_at_work(tmp: Path) -> str:
    """Which dvc is at work just now, in words; "" for none.

    And where nobody can tell, as no lock can be taken: in a tree that is only read, on a full disk.

    Args:
        tmp: .dvc/tmp of the project.
    """
    try:
        with without_dvc(tmp) as running:
            return running
    except OSError:
        return ""


def watch_dvc(root: Path) -> Callable[[], str]:
    """From now on see whether a dvc works in a project, without keeping it out.

    Args:
        root: the folder of dvc.yaml.

    Returns:
        What tells it in words, when called: of one that was at work at the start, is now, or has written dvc.lock
        between; "" for none.
    """
    tmp, lock = root / ".dvc" / "tmp", root / "dvc.lock"
    before, began = dvc_at_work(tmp), _written(lock)

    def told() -> str:
        return before or dvc_at_work(tmp) or ("" if _written(lock) == began else f"a dvc has written {lock}")

    return told


def _written(file: Path) -> tuple[int, int]:
    """Time and size of a file, zeros for none."""
    try:
        found = file.stat()
    except FileNotFoundError:
        return 0, 0
    return found.st_mtime_ns, found.st_size


def _hold(held: ExitStack, tmp: Path) -> str:
    """Take both locks; in words who has one of them, "" where they are ours."""
    for name in LOCKS if tmp.is_dir() else ():  # every command of DVC makes the folder first
        try:
            with naming(tmp / name):
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
