"""File locks (flock), which the kernel releases when the process ends, however it ends.

Other containers see the lock and, if the network file system supports locks, other hosts too. A process id would not
do: it is valid in one pid namespace only.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


class LockedError(Exception):
    """The lock is held by another process, or by another part of this one.

    Attributes:
        holder: what the holder wrote into the lock file; may be empty.
    """

    def __init__(self, holder: str) -> None:
        super().__init__(holder)
        self.holder = holder


@contextmanager
def held_lock(path: Path, holder: str = "") -> Iterator[None]:
    """Hold an exclusive lock; the lock file exists only as long as the lock. Never waits.

    Unlike `filelock`, this removes the lock file: each output has one beside it.

    Args:
        path: the lock file; its folder must exist.
        holder: one line that `LockedError` shows to other processes.

    Raises:
        LockedError: the lock is taken.
    """
    descriptor = _acquire(path)
    if descriptor is None:
        raise LockedError(_read_holder(path))
    try:
        if holder:
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{holder}\n".encode(), 0)
        yield
    finally:
        _release(path, descriptor)


@contextmanager
def held_stale_lock(path: Path) -> Iterator[None]:
    """Take over a lock file that a dead process left behind; removes the file at the end of the block.

    Raises:
        LockedError: the process is still running, or the file system does not support locks.
        FileNotFoundError: there is no such file.
    """
    try:
        descriptor = _acquire(path, stale=True)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise LockedError(str(error)) from error
    if descriptor is None:
        raise LockedError(_read_holder(path))
    try:
        yield
    finally:
        _release(path, descriptor)


def _acquire(path: Path, stale: bool = False) -> int | None:
    """An open descriptor that holds the lock; None if another process holds it.

    Args:
        path: the lock file.
        stale: the file must exist, and a file system without locks is an error. Otherwise the file is created, and
            on a file system without locks the caller runs unprotected.
    """
    flags = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | (0 if stale else os.O_CREAT)
    while True:
        descriptor = os.open(path, flags, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        except OSError:
            if stale:
                os.close(descriptor)
                raise
        # The previous holder may have removed the file between our open and our lock.
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(descriptor), os.lstat(path)):
                return descriptor
        os.close(descriptor)


def _release(path: Path, descriptor: int) -> None:
    """Remove the lock file, then release the lock: in the other order, the file could belong to a new holder."""
    with suppress(OSError):
        if os.path.samestat(os.fstat(descriptor), os.lstat(path)):
            path.unlink()
    os.close(descriptor)


def _read_holder(path: Path) -> str:
    with suppress(OSError):
        return path.read_text(encoding="utf-8", errors="replace").strip()
    return ""
