"""Whether DVC is running in a project, by the locks that DVC itself takes; and how to keep it from starting.

DVC holds .dvc/tmp/lock while it reads and writes, and releases it while it waits for a stage; then .dvc/tmp/rwlock
names its process. These are kernel locks (core.hardlink_lock is off): a lock ends with its process, its file stays.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

# The libraries that DVC uses for locks and processes; importing dvc itself takes a second.
import psutil
from zc.lockfile import LockError, LockFile

from wheretolook.base.resources import naming

# rwlock.lock guards rwlock, which DVC also writes at the end of a stage, before it takes the first lock again.
LOCKS = ("lock", "rwlock.lock")
_PID = re.compile(r'"pid": (\d+)')
_SECONDS = 5  # tolerance between the clocks of processes and of files


@contextmanager
def without_dvc(tmp: Path) -> Iterator[str]:
    """Hold DVC's locks within the block, unless DVC is already running.

    Args:
        tmp: .dvc/tmp of the project.

    Yields:
        Which DVC process is running, in words; "" for none, and then none can start before the block ends.
    """
    with ExitStack() as held:
        yield _hold(held, tmp) or _waiting(tmp / "rwlock")


def dvc_at_work(tmp: Path) -> str:
    """Which DVC process is running, in words; "" for none.

    Also "" where no lock can be taken: in a read-only tree, or on a full disk.

    Args:
        tmp: .dvc/tmp of the project.
    """
    try:
        with without_dvc(tmp) as running:
            return running
    except OSError:
        return ""


def watch_dvc(root: Path) -> Callable[[], str]:
    """Watch whether DVC runs in a project from now on, without preventing it.

    Args:
        root: the folder of dvc.yaml.

    Returns:
        A function that describes a DVC process that ran at the start, runs now, or wrote dvc.lock in between; it
        returns "" for none.
    """
    tmp, lock = root / ".dvc" / "tmp", root / "dvc.lock"
    before, began = dvc_at_work(tmp), _written(lock)

    def running() -> str:
        return before or dvc_at_work(tmp) or ("" if _written(lock) == began else f"DVC has written {lock}")

    return running


def _written(file: Path) -> tuple[int, int]:
    """Modification time and size of a file; zeros if it is missing."""
    try:
        found = file.stat()
    except FileNotFoundError:
        return 0, 0
    return found.st_mtime_ns, found.st_size


def _hold(held: ExitStack, tmp: Path) -> str:
    """Take both locks; return who holds one of them, or "" if we now do."""
    for name in LOCKS if tmp.is_dir() else ():  # every command of DVC makes the folder first
        try:
            with naming(tmp / name):
                held.callback(LockFile(tmp / name).close)
        except LockError:
            return f"DVC holds {tmp / name}"
    return ""


def _waiting(rwlock: Path) -> str:
    """A DVC process that waits for its stage, in words. A truncated file still names those before the cut."""
    if not rwlock.exists():
        return ""
    text, written = rwlock.read_text(encoding="utf-8", errors="replace"), rwlock.stat().st_mtime
    for number in dict.fromkeys(_PID.findall(text)):
        if _runs(int(number), written):
            return f"DVC (process {number}) is waiting for a stage"
    return ""


def _runs(pid: int, written: float) -> bool:
    """Whether a process recorded at that time still runs: not a zombie, nor a later process with the same id."""
    try:
        process = psutil.Process(pid)
        return process.status() != psutil.STATUS_ZOMBIE and process.create_time() <= written + _SECONDS
    except (psutil.NoSuchProcess, OverflowError):
        return False
    except psutil.AccessDenied:
        return True
