"""What processes on one machine share: disk space, memory and processor cores; and locks on files.

Locks are `flock`: the kernel releases them when the process ends, however it ends. Other containers see them and, if
the network file system supports locks, other hosts too. A process id would not do: it is valid in one pid namespace.
"""

import errno
import fcntl
import math
import mmap
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

# Disk full, quota exceeded, file size limit (`ulimit -f`) exceeded.
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Add the file's name to a write error raised in the block, which often names no file.

    Raises:
        OSError: the same error with `filename` set. NumPy gives no errno for a short write: it becomes that of a full
            disk, or of the file size limit if the process has one.
    """
    try:
        yield
    except OSError as error:
        if error.errno is None and "requested and" in str(error) and "written" in str(error):
            number = errno.EFBIG if _is_limited() else errno.ENOSPC
            raise OSError(number, os.strerror(number), str(path)) from error
        # The error of a copy names the source first.
        unnamed = error.filename is None or error.filename2 is not None
        if unnamed and error.errno in (*FULL, errno.EIO, errno.EROFS):
            error.filename = str(path)
        raise


def create_array(path: Path, shape: tuple[int, ...], dtype: Any) -> Any:
    """Create a `.npy` file of full size, open for writing: a `numpy.memmap` of zeros.

    Disk space is allocated first. With a sparse memory-mapped file, a full disk would show in the middle of an
    assignment, where the kernel kills the process with SIGBUS.

    Raises:
        OSError: not enough disk space; `needed` is the number of bytes.
    """
    import numpy as np

    dtype = np.dtype(dtype)
    with path.open("wb") as file:
        about = {"shape": shape, "fortran_order": False, "descr": np.lib.format.dtype_to_descr(dtype)}
        np.lib.format.write_array_header_1_0(file, about)
        file.flush()
        reserve(file, path, file.tell() + math.prod(shape) * dtype.itemsize)
    return np.load(path, mmap_mode="r+")


def release_pages(*arrays: Any) -> None:
    """Take the pages of memory-mapped arrays out of this process's memory; they are read again when needed."""
    for array in arrays:
        while not isinstance(array, mmap.mmap) and getattr(array, "base", None) is not None:
            array = array.base
        if isinstance(array, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
            array.madvise(mmap.MADV_DONTNEED)


def reserve(file: BinaryIO, path: Path, count: int) -> None:
    """Set the length of a file to `count` bytes, and allocate them on the disk where the system supports it.

    Raises:
        OSError: not enough disk space; `needed` is the number of bytes.
    """
    try:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, count)
        else:
            file.truncate(count)
    except OSError as error:
        error.filename, error.needed = str(path), count  # type: ignore[attr-defined]
        raise


def free_bytes(path: Path) -> int:
    """Free bytes on the disk of `path`, which need not exist yet."""
    return shutil.disk_usage(_existing(path)).free


def is_out_of_inodes(path: Path) -> bool:
    """Whether the file system has no inodes left, so that no new file can be created."""
    disk = os.statvfs(_existing(path))
    return disk.f_files > 0 and disk.f_favail == 0


def _existing(path: Path) -> Path:
    return next(parent for parent in (path, *path.absolute().parents) if parent.exists())


def _is_limited() -> bool:
    """Whether this process has a file size limit (`ulimit -f`)."""
    import resource

    return resource.getrlimit(resource.RLIMIT_FSIZE)[0] != resource.RLIM_INFINITY


CGROUP = Path("/sys/fs/cgroup")


def usable_cores() -> int:
    """Number of cores available to this process, given its affinity (`taskset`) and cgroup quota; at least 1."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(cores, _quota() or cores))


def free_memory() -> int:
    """Bytes that this process can still allocate: the machine's available memory, within `ulimit -v`."""
    import psutil

    free = psutil.virtual_memory().available
    if sys.platform == "linux":
        import resource

        most = resource.getrlimit(resource.RLIMIT_AS)[0]
        if most != resource.RLIM_INFINITY:
            free = min(free, max(0, most - psutil.Process().memory_info().vms))
    return free


def _quota() -> int | None:
    """CPU quota of the cgroup in cores, rounded up; None without a quota. Reads cgroup v2, then v1."""
    try:
        quota, period = (CGROUP / "cpu.max").read_text().split()
    except (OSError, ValueError):
        try:
            quota, period = ((CGROUP / "cpu" / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period"))
        except OSError:
            return None
    try:
        return -(-int(quota) // int(period)) if int(quota) > 0 else None
    except (ValueError, ZeroDivisionError):
        return None


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
