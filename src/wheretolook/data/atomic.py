"""Write beside, then rename: nothing half-written ever stands under its final name."""

import errno
import glob
import json
import os
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from wheretolook.data.space import naming

_CLOCKS = 60.0  # seconds by which the clocks of processes and of a disk, perhaps on another machine, may differ


@contextmanager
def replacing(path: Path, sweep: bool = True) -> Iterator[Path]:
    """Give a scratch path beside `path`; rename it to `path` on success, remove it after an error.

    Args:
        path: the final name; its parent is created where it is missing.
        sweep: first remove what killed processes left beside it, for which the folder is read. Who writes thousands of
            files into one calls `remove_unfinished_of` once instead.

    Yields:
        `NAME.part-PID` in the same folder. A file that stands there at the end of the block takes the final name.
    """
    with naming(path):
        scratch = _scratch(path, sweep)
        try:
            yield scratch
            with scratch.open("rb") as written:
                os.fsync(written.fileno())
            scratch.replace(path)
        finally:
            _remove(scratch)


@contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """Give an empty scratch folder beside `path`; it replaces `path` on success and is removed after an error."""
    with naming(path):
        scratch = _scratch(path)
        scratch.mkdir()
        try:
            yield scratch
            put_in_place(scratch, path)
        finally:
            _remove(scratch)


def move_folder(source: Path, path: Path) -> None:
    """Move a finished folder of files to `path`, whole or not at all, from another disk too."""
    with naming(path):
        scratch = _scratch(path)
        try:
            _move_files(source, scratch)
            put_in_place(scratch, path)
        finally:
            _remove(scratch)


def put_in_place(scratch: Path, path: Path) -> None:
    """Rename a finished folder to `path`. One that stands there goes aside first: it's never seen half removed."""
    if path.exists():
        aside = path.with_name(f"{path.name}.part-{os.getpid()}-old")
        path.replace(aside)
        scratch.replace(path)
        _remove(aside)
    else:
        scratch.replace(path)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text with `\\n` line ends, whole or not at all."""
    with replacing(path) as scratch:
        scratch.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: Path, value: Any) -> None:
    """Write JSON that is the same to the byte for equal values: sorted keys, two spaces, a final newline.

    Raises:
        ValueError: a NaN or an infinity, which JSON cannot hold.
    """
    write_text(path, json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n")


def remove_unfinished(folder: Path, name: str = "*") -> list[Path]:
    """Remove what killed processes left under scratch names, `NAME.part-PID`; gives what it removed.

    Args:
        folder: looked through, not what is below it.
        name: the final name, as a pattern.
    """
    found = [left for left in sorted(folder.glob(f"{name}.part-*")) if not _is_running(left)]
    for left in found:
        _remove(left)
    return found


def remove_unfinished_of(folder: Path, names: Collection[str]) -> None:
    """Remove what killed processes left under scratch names of these final names, and of no others."""
    for name in {left.name.rpartition(".part-")[0] for left in folder.glob("*.part-*")}.intersection(names):
        remove_unfinished(folder, glob.escape(name))


def _move_files(source: Path, target: Path) -> None:
    try:
        source.rename(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        target.mkdir()
        for file in sorted(source.iterdir()):
            shutil.copyfile(file, target / file.name)
        shutil.rmtree(source)


def _scratch(path: Path, sweep: bool = True) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if sweep:
        remove_unfinished(path.parent, glob.escape(path.name))
    scratch = path.with_name(f"{path.name}.part-{os.getpid()}")
    _remove(scratch)
    return scratch


def _is_running(scratch: Path) -> bool:
    """Whether the process that the name names runs. Names with no number are not ours: left alone, as if it ran.

    A later process of the same number, as after a restart of a container, began when the scratch was written already.
    """
    number = scratch.name.rpartition(".part-")[2].removesuffix("-old")
    if not number.isdigit():
        return True
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        pass
    return not _began_after(int(number), scratch)


def _began_after(number: int, scratch: Path) -> bool:
    """Whether a process began after a file or folder was last written or renamed; false where nobody can tell."""
    import psutil

    try:
        return psutil.Process(number).create_time() > scratch.lstat().st_ctime + _CLOCKS
    except (psutil.Error, OverflowError, OSError):
        return False


def _remove(path: Path) -> None:
    """Remove a file or a folder, if it's there and can be."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()
