"""Room on the disk: taken before an array is filled, and named where it ran out."""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

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
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path)) from error
        if error.filename is None and error.errno in (*FULL, errno.EIO, errno.EROFS):
            error.filename = str(path)
        raise


def create_array(path: Path, shape: tuple[int, ...], dtype: Any) -> Any:
    """Create a `.npy` file of full size, open for writing: a `numpy.memmap` of zeros.

    Its bytes are taken on the disk now. A mapped file of holes would meet a full disk in the midst of an assignment,
    and then the kernel ends the process by SIGBUS, without a word.

    Raises:
        OSError: no space.
    """
    from numpy.lib.format import open_memmap

    array = open_memmap(path, mode="w+", dtype=dtype, shape=shape)
    reserve(path, path.stat().st_size)
    return array


def reserve(path: Path, count: int) -> None:
    """Take the first `count` bytes of a file on the disk, whatever stands in them; nothing where the system can't.

    Raises:
        OSError: no space; `needed` says how many bytes.
    """
    if not count or not hasattr(os, "posix_fallocate"):
        return
    with path.open("r+b") as file:
        try:
            os.posix_fallocate(file.fileno(), 0, count)
        except OSError as error:
            if error.errno in FULL:
                error.filename, error.needed = str(path), count  # type: ignore[attr-defined]
                raise
            if error.errno not in (errno.EINVAL, errno.EOPNOTSUPP):
                raise


def free_bytes(path: Path) -> int:
    """Free space of the disk on which `path` stands, or would stand."""
    there = next(parent for parent in (path, *path.absolute().parents) if parent.exists())
    return shutil.disk_usage(there).free
