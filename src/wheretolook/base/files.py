"""What operating systems and tools leave behind among the images, and what is no part of the data."""

import errno
import glob
import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from wheretolook.base.errors import InputError
from wheretolook.base.file_lock import LockedError, held_lock, held_stale_lock
from wheretolook.base.resources import naming

# Beside hidden files and folders; in lower case. A NAS keeps thumbnails of every image in `@eaDir`, a file system what
# it repaired in `lost+found`, and macOS a folder's own icon in a file whose name ends in a carriage return.
JUNK = frozenset(
    {
        "__macosx",
        "@eadir",
        "$recycle.bin",
        "system volume information",
        "lost+found",
        "lost.dir",
        "icon\r",
        "thumbs.db",
        "ehthumbs.db",
        "ehthumbs_vista.db",
        "desktop.ini",
        "@recycle",
        "#recycle",
        "#snapshot",
        "network trash folder",
        "temporary items",
        "__pycache__",
    }
)


def is_junk(parts: Sequence[str]) -> bool:
    """Whether a file or a folder is left out wherever images are looked for.

    Args:
        parts: its path, below the folder that was given.
    """
    return any(part.startswith(".") or part.lower() in JUNK for part in parts)


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's bytes, as 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


KEPT = 20  # digests: a folder may come back from DVC's cache as an earlier run wrote it


def check_replaceable(path: Path) -> None:
    """Refuse to replace what this program did not write.

    Args:
        path: may be missing, an empty folder, or one that was written here and holds just what was written.

    Raises:
        InputError: a file, or a folder with anything else in it.
    """
    if not os.path.lexists(path):
        return
    if not path.is_dir():
        raise InputError(f"{path}", "a folder, or nothing there yet", "a file", "move it away, or name another folder")
    if not any(path.iterdir()) or _digest(path) in _read_record(path):
        return
    raise InputError(
        f"{path}",
        "an empty folder, or one that holds only what was written here before",
        f"other files, such as {_first_file(path)}",
        f'it would be replaced as a whole: move what is yours away, then remove the folder ("rm -r {path}")',
    )


def record_folder(scratch: Path, path: Path) -> None:
    """Record that a finished folder, still under its scratch name, is written by this program to `path`."""
    new = _digest(scratch)
    kept = [digest for digest in _read_record(path) if digest != new][-KEPT + 1 :]
    _record(path).write_text("".join(f"{digest}\n" for digest in (*kept, new)), encoding="utf-8")


def forget_folder(path: Path) -> None:
    """Remove the record of a folder that is removed for good."""
    _record(path).unlink(missing_ok=True)


def _record(path: Path) -> Path:
    return path.with_name(f".{path.name}.written")


def _read_record(path: Path) -> list[str]:
    with suppress(OSError):
        return _record(path).read_text(encoding="utf-8").split()
    return []


def _digest(folder: Path) -> str:
    """SHA-256 over path and size of each file and link below a folder, without what file managers leave behind."""
    files = []
    for parent, folders, names in os.walk(folder):
        below = Path(parent).relative_to(folder)
        for name in (*names, *(name for name in folders if Path(parent, name).is_symlink())):
            if name != ".DS_Store" and name.lower() not in JUNK:
                files.append(f"{below / name}\0{_size(Path(parent, name))}\n")
    return hashlib.sha256("".join(sorted(files)).encode("utf-8", "surrogateescape")).hexdigest()


def _size(file: Path) -> int:
    """Bytes of a file; through a link, as DVC's cache may make them, unless it is broken."""
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return file.lstat().st_size


def _first_file(folder: Path) -> str:
    files = (Path(parent, name).relative_to(folder) for parent, _, names in os.walk(folder) for name in sorted(names))
    return str(next(files, sorted(folder.iterdir())[0].name))


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
            (`wheretolook.base.files`). Not for a folder inside another scratch folder or in a cache, nor where
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
