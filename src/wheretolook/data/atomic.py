"""Write beside, then rename: no half-written file or folder ever has its final name."""

import errno
import glob
import json
import os
import secrets
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from wheretolook.data.file_lock import LockedError, held_lock, held_stale_lock
from wheretolook.data.space import naming
from wheretolook.data.written_folder import check_replaceable, record_folder

LOCK, ASIDE = ".lock", "-old"  # behind a scratch name: its lock file, and the folder that it replaces


@contextmanager
def replacing(path: Path, sweep: bool = True) -> Iterator[Path]:
    """Give a scratch path beside `path`; rename it to `path` on success, remove it after an error.

    Args:
        path: the final name; its parent is created where it is missing.
        sweep: first remove what killed processes left beside it, for which the folder is read. Who writes thousands of
            files into one calls `remove_unfinished_of` once instead.

    Yields:
        `NAME.part-XXXXXX` in the same folder. A file of this name at the end of the block takes the final name.
    """
    with naming(path), _scratch(path, sweep) as scratch:
        yield scratch
        with scratch.open("rb") as written:
            os.fsync(written.fileno())
        scratch.replace(path)


@contextmanager
def replacing_folder(path: Path, recorded: bool = True) -> Iterator[Path]:
    """Give an empty scratch folder beside `path`; it replaces `path` on success and is removed after an error.

    Args:
        path: the final name.
        recorded: refuse to replace what this program did not write, and record what it writes
            (`wheretolook.data.written_folder`). Not for a folder inside another scratch folder or in a cache, nor where
            the caller has checked it.

    Raises:
        InputError: `path` holds what this program did not write.
    """
    with naming(path):
        if recorded:
            check_replaceable(path)
        with _scratch(path) as scratch:
            scratch.mkdir()
            yield scratch
            _put_in_place(scratch, path, recorded)


def move_folder(source: Path, path: Path) -> None:
    """Move a finished folder of files to `path`, whole or not at all, from another disk too.

    Raises:
        InputError: `path` holds what this program did not write.
    """
    with naming(path):
        check_replaceable(path)
        with _scratch(path) as scratch:
            _move_files(source, scratch)
            _put_in_place(scratch, path, recorded=True)


def _put_in_place(scratch: Path, path: Path, recorded: bool) -> None:
    """Rename a finished folder to `path`. An earlier one goes aside first: it's never seen half removed."""
    if recorded:
        # Again: hours may have passed since the first check.
        check_replaceable(path)
        record_folder(scratch, path)
    if path.exists():
        aside = scratch.with_name(f"{scratch.name}{ASIDE}")
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
    """Remove what killed processes left under scratch names, `NAME.part-XXXXXX`; gives what it removed.

    A scratch file or folder has a lock file beside it. Without one, it is not ours and stays.

    Args:
        folder: looked through, not what is below it.
        name: the final name, as a pattern.
    """
    found = []
    for lock in sorted(folder.glob(f"{name}.part-*{LOCK}")):
        scratch = lock.with_name(lock.name.removesuffix(LOCK))
        with suppress(LockedError, FileNotFoundError), held_stale_lock(lock):
            left = [path for path in (scratch, scratch.with_name(f"{scratch.name}{ASIDE}")) if os.path.lexists(path)]
            for path in left:
                _remove(path)
            found += left
    return found


def remove_unfinished_of(folder: Path, names: Collection[str]) -> None:
    """Remove what killed processes left under scratch names of these final names, and of no others."""
    for name in {left.name.rpartition(".part-")[0] for left in folder.glob(f"*.part-*{LOCK}")}.intersection(names):
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


@contextmanager
def _scratch(path: Path, sweep: bool = True) -> Iterator[Path]:
    """A scratch name beside `path`, with a lock that says that its process lives; removed at the end if it is there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if sweep:
        remove_unfinished(path.parent, glob.escape(path.name))
    # Random: on a shared disk, two containers may have processes of one number.
    scratch = path.with_name(f"{path.name}.part-{secrets.token_hex(3)}")
    with held_lock(scratch.with_name(f"{scratch.name}{LOCK}")):
        try:
            yield scratch
        finally:
            _remove(scratch)


def _remove(path: Path) -> None:
    """Remove a file or a folder, if it's there and can be."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()
