"""Room on the disk: taken before an array is filled, and named where it ran out."""

import errno
import math
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

# No space, no space in the quota, a file longer than the process may write.
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Name the file in an error of a write within, which by itself says only that there was one.

    Raises:
        OSError: the same error, with `filename`; where numpy gives no number for a short write, that of a full disk.
    """
    try:
        yield
    except OSError as error:
        if error.errno is None and "requested and" in str(error) and "written" in str(error):
            number = errno.EFBIG if _is_limited() else errno.ENOSPC
            raise OSError(number, os.strerror(number), str(path)) from error
        # A copy names its source first.
        unnamed = error.filename is None or error.filename2 is not None
        if unnamed and error.errno in (*FULL, errno.EIO, errno.EROFS):
            error.filename = str(path)
        raise


def create_array(path: Path, shape: tuple[int, ...], dtype: Any) -> Any:
    """Create a `.npy` file of full size, open for writing: a `numpy.memmap` of zeros.

    Its bytes are taken on the disk first. A mapped file of holes would meet a full disk in the midst of an assignment,
    and then the kernel ends the process by SIGBUS, without a word.

    Raises:
        OSError: no space; `needed` says how many bytes.
    """
    import numpy as np

    dtype = np.dtype(dtype)
    with path.open("wb") as file:
        about = {"shape": shape, "fortran_order": False, "descr": np.lib.format.dtype_to_descr(dtype)}
        np.lib.format.write_array_header_1_0(file, about)
        file.flush()
        reserve(file, path, file.tell() + math.prod(shape) * dtype.itemsize)
    return np.load(path, mmap_mode="r+")


def reserve(file: BinaryIO, path: Path, count: int) -> None:
    """Have a file be `count` bytes long, and take them on the disk where the system can.

    Raises:
        OSError: no space; `needed` says how many bytes.
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
    """Free space of the disk on which `path` stands, or would stand."""
    return shutil.disk_usage(_existing(path)).free


def is_out_of_inodes(path: Path) -> bool:
    """Whether the disk takes no more files, however small: of a file system with a fixed number of inodes."""
    disk = os.statvfs(_existing(path))
    return disk.f_files > 0 and disk.f_favail == 0


def _existing(path: Path) -> Path:
    return next(parent for parent in (path, *path.absolute().parents) if parent.exists())


def _is_limited() -> bool:
    """Whether this process may not write files of any length."""
    import resource

    return resource.getrlimit(resource.RLIMIT_FSIZE)[0] != resource.RLIM_INFINITY


CGROUP = Path("/sys/fs/cgroup")


def usable_cores() -> int:
    """Cores that this process may use: by its affinity (`taskset`) and its container's quota; at least 1."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(cores, _quota() or cores))


def free_memory() -> int:
    """Bytes that this process can still take: what the machine has free, within its own limit (`ulimit -v`)."""
    import psutil

    free = psutil.virtual_memory().available
    if sys.platform == "linux":
        import resource

        most = resource.getrlimit(resource.RLIMIT_AS)[0]
        if most != resource.RLIM_INFINITY:
            free = min(free, max(0, most - psutil.Process().memory_info().vms))
    return free


def _quota() -> int | None:
    """Cores of the container's quota, rounded up; None without one. cgroup version 2, then version 1."""
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
