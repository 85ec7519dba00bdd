"""A machine that fails: each fault is real where the system lets a process have it, else raised where it would be."""

import builtins
import errno
import io
import os
import resource
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any
from unittest import mock


@contextmanager
def short_files(longest: int = 20) -> Iterator[None]:
    """No file grows beyond so many bytes, whoever writes it: Python, numpy, Pillow, a mapped array (EFBIG)."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (longest, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@contextmanager
def few_descriptors(spare: int) -> Iterator[None]:
    """So many files more can be open at once, whoever opens them (EMFILE)."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = max(int(entry.name) for entry in Path("/proc/self/fd").iterdir())
    fill = [os.open(os.devnull, os.O_RDONLY)]
    while fill[-1] < highest:
        fill.append(os.open(os.devnull, os.O_RDONLY))
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(highest, fill[-1]) + 1 + spare, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
        for descriptor in fill:
            os.close(descriptor)


def failing_sync() -> AbstractContextManager[Any]:
    """The disk can't be made to keep what was written (EIO)."""
    return mock.patch("os.fsync", _raising(errno.EIO))


@contextmanager
def failing_rename(number: int = errno.ENOSPC) -> Iterator[None]:
    """Nothing takes its final name: a folder may be full where its files are not."""
    with mock.patch("os.replace", _raising(number)), mock.patch("os.rename", _raising(number)):
        yield


def full_disk() -> AbstractContextManager[Any]:
    """A new file can't be filled (ENOSPC)."""
    return _opening(errno.ENOSPC)


def read_only() -> AbstractContextManager[Any]:
    """A new file can't be begun (EROFS)."""
    return _opening(errno.EROFS)


def not_permitted() -> AbstractContextManager[Any]:
    """A new file can't be begun: somebody else's folder (EACCES)."""
    return _opening(errno.EACCES)


def no_descriptors() -> AbstractContextManager[Any]:
    """A new file can't be begun: too many are open (EMFILE)."""
    return _opening(errno.EMFILE)


@contextmanager
def _opening(number: int) -> Iterator[None]:
    """Files of outputs can't be opened for writing."""
    plain = builtins.open

    def opening(file: Any, mode: str = "r", *arguments: Any, **options: Any) -> Any:
        if isinstance(file, str | os.PathLike) and set(mode) & set("wxa") and ".cache/locks" not in str(file):
            raise OSError(number, os.strerror(number), str(file))
        return plain(file, mode, *arguments, **options)

    with mock.patch.object(builtins, "open", opening), mock.patch.object(io, "open", opening):
        yield


def _raising(number: int) -> Callable[..., None]:
    def fail(*arguments: Any, **options: Any) -> None:
        raise OSError(number, os.strerror(number))

    return fail


@contextmanager
def small_disk(folder: Path, kilobytes: int) -> Iterator[bool]:
    """A disk of its own, empty, at `folder`; gives whether one could be had: only root may mount it."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(folder)]
    there = shutil.which("mount") is not None and not subprocess.run(mount, capture_output=True).returncode
    try:
        yield there
    finally:
        if there:
            subprocess.run(["umount", str(folder)], check=True)
        folder.rmdir()
