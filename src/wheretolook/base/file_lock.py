"""Locks on files, which the kernel releases when their process ends, however it ends.

A lock (flock) is seen from other containers and, where the file system passes locks on, from other hosts. A process id
is not: it counts in one pid namespace only.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


class LockedError(Exception):
    """Another process, or another part of this one, holds the lock.

    Attributes:
        holder: the text that it left in the lock file; may be empty.
    """

    def __init__(self, holder: str) -> None:
        super().__init__(holder)
        self.holder = holder


@contextmanager
def held_lock(path: Path, holder: str = "") -> Iterator[None]:
    """Hold an exclusive lock on a file that exists only as long as the lock; never waits.

    Unlike `filelock`, which leaves its file in place, this removes it: a lock file lies beside each output.

    Args:
        path: the lock file; its folder must exist.
        holder: one line for whoever finds the lock taken.

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
    """Hold the lock of a file that an ended process left behind; removes the file at the end of the block.

    Raises:
        LockedError: the process still runs, or the file system cannot say.
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
    """An open descriptor that holds the lock; None where another process holds it.

    Args:
        path: the lock file.
        stale: the file must exist, and a file system without locks is an error. Otherwise the file is created, and
            without locks this goes on unprotected.
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
        # Who released the lock may have removed the file between our open and our lock.
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(descriptor), os.lstat(path)):
                return descriptor
        os.close(descriptor)


def _release(path: Path, descriptor: int) -> None:
    """Remove the lock file, then the lock: in the other order, the file could be a new holder's."""
    with suppress(OSError):
        if os.path.samestat(os.fstat(descriptor), os.lstat(path)):
            path.unlink()
    os.close(descriptor)


def _read_holder(path: Path) -> str:
    with suppress(OSError):
        return path.read_text(encoding="utf-8", errors="replace").strip()
    return ""
