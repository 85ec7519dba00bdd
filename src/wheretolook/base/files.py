"""Atomic writes of files and folders, protection of folders that this program did not write, junk files, hashes."""

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
from wheretolook.base.resources import LockedError, held_lock, held_stale_lock, naming

# In lower case; hidden files and folders are junk too. `@eaDir` holds a NAS's thumbnails, `lost+found` what a file
# system check recovered; macOS stores a folder's icon in a file whose name ends in a carriage return.
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
    """Whether a file or folder is ignored when images are listed.

    Args:
        parts: of its path, relative to the folder that is listed.
    """
    return any(part.startswith(".") or part.lower() in JUNK for part in parts)


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's bytes, as 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


KEPT = 20  # digests per folder, since DVC's cache may restore the folder of an earlier run


def check_replaceable(path: Path) -> None:
    """Check that replacing `path` deletes nothing that this program did not write.

    Args:
        path: valid if missing, an empty folder, or a folder that this program wrote and that is unchanged since; or
            as dvc.lock records it, in a clone of this project.

    Raises:
        InputError: a file, or a folder with any other content.
    """
    if not os.path.lexists(path):
        return
    if not path.is_dir():
        raise InputError(f"{path}", "a new or existing folder", "a file", "move it away, or name another folder")
    if not any(path.iterdir()) or _digest(path) in _read_record(path) or _is_locked_output(path):
        return
    raise InputError(
        f"{path}",
        "an empty folder, or one that this program wrote",
        f"other files, such as {_first_file(path)}",
        f'the whole folder would be replaced: move your files away, then remove it ("rm -r {path}")',
    )


def record_folder(scratch: Path, path: Path) -> None:
    """Record that this program wrote the folder `path`; called while it still has its scratch name."""
    new = _digest(scratch)
    kept = [digest for digest in _read_record(path) if digest != new][-KEPT + 1 :]
    write_text(_record(path), "".join(f"{digest}\n" for digest in (*kept, new)))


def forget_folder(path: Path) -> None:
    """Remove the record of a folder that is deleted."""
    _record(path).unlink(missing_ok=True)


def _record(path: Path) -> Path:
    return path.with_name(f".{path.name}.written")


def _read_record(path: Path) -> list[str]:
    with suppress(OSError):
        return _record(path).read_text(encoding="utf-8").split()
    return []


def _digest(folder: Path) -> str:
    """SHA-256 over path and size of each file and link below a folder, junk left out."""
    files = []
    for parent, folders, names in os.walk(folder):
        below = Path(parent).relative_to(folder)
        for name in (*names, *(name for name in folders if Path(parent, name).is_symlink())):
            if name != ".DS_Store" and name.lower() not in JUNK:
                files.append(f"{below / name}\0{_size(Path(parent, name))}\n")
    return hashlib.sha256("".join(sorted(files)).encode("utf-8", "surrogateescape")).hexdigest()


def _is_locked_output(folder: Path) -> bool:
    """Whether dvc.lock lists the folder as an output with as many files and bytes. A clone has no records yet."""
    import yaml

    sizes = [_size(Path(parent, name)) for parent, _, names in os.walk(folder) for name in names]
    with suppress(OSError, yaml.YAMLError, UnicodeDecodeError, TypeError, KeyError, AttributeError):
        stages = yaml.safe_load(Path("dvc.lock").read_text(encoding="utf-8"))["stages"].values()
        outputs = [out for stage in stages for out in stage.get("outs", ()) if "nfiles" in out]
        return any(
            (out["nfiles"], out["size"]) == (len(sizes), sum(sizes)) and Path(out["path"]).resolve() == folder.resolve()
            for out in outputs
        )
    return False


def _size(file: Path) -> int:
    """Bytes of a file; follows links, which DVC's cache may create, unless they are broken."""
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return file.lstat().st_size


def _first_file(folder: Path) -> str:
    files = (Path(parent, name).relative_to(folder) for parent, _, names in os.walk(folder) for name in sorted(names))
    return str(next(files, sorted(folder.iterdir())[0].name))


LOCK, ASIDE = ".lock", "-old"  # suffixes of a scratch name: its lock file, and the folder that it replaces


@contextmanager
def replacing(path: Path, sweep: bool = True) -> Iterator[Path]:
    """Write a file atomically: yields a scratch path, renamed to `path` on success and removed after an error.

    Args:
        path: the final name; its parent is created if missing.
        sweep: first remove scratch files that killed processes left, which lists the folder. To write thousands of
            files into one folder, pass False and call `remove_unfinished_of` once.

    Yields:
        `NAME.part-XXXXXX` in the same folder; the block must create this file.
    """
    with naming(path), _scratch(path, sweep) as scratch:
        yield scratch
        with scratch.open("rb") as written:
            os.fsync(written.fileno())
        scratch.replace(path)


@contextmanager
def replacing_folder(path: Path, recorded: bool = True) -> Iterator[Path]:
    """Write a folder atomically: yields an empty scratch folder, which replaces `path` on success.

    The scratch folder is removed after an error.

    Args:
        path: the final name.
        recorded: check that `path` is replaceable (`check_replaceable`), and record the new folder. False for a folder
            inside another scratch folder or in a cache, or if the caller has checked it.

    Raises:
        InputError: `path` has content that this program did not write.
    """
    with naming(path):
        if recorded:
            check_replaceable(path)
        with _scratch(path) as scratch:
            scratch.mkdir()
            yield scratch
            _put_in_place(scratch, path, recorded)


def move_folder(source: Path, path: Path) -> None:
    """Move a folder of files to `path` atomically, also from another disk.

    Raises:
        InputError: `path` has content that this program did not write.
    """
    with naming(path):
        check_replaceable(path)
        with _scratch(path) as scratch:
            _move_files(source, scratch)
            _put_in_place(scratch, path, recorded=True)


def _put_in_place(scratch: Path, path: Path, recorded: bool) -> None:
    """Rename a finished folder to `path`. An existing one is renamed first, so that no reader sees it half removed."""
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
    """Write UTF-8 text with `\\n` line ends, atomically."""
    with replacing(path) as scratch:
        scratch.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: Path, value: Any) -> None:
    """Write JSON atomically; equal values give equal bytes: sorted keys, two spaces, a final newline.

    Raises:
        ValueError: NaN or infinity, which JSON does not allow.
    """
    write_text(path, json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n")


def remove_unfinished(folder: Path, name: str = "*") -> list[Path]:
    """Remove scratch files and folders, `NAME.part-XXXXXX`, of killed processes.

    Each scratch file or folder has a lock file beside it. One without a lock file is not ours and is kept.

    Args:
        folder: searched, without its subfolders.
        name: the final name, as a glob pattern.

    Returns:
        The removed paths.
    """
    removed = []
    for lock in sorted(folder.glob(f"{name}.part-*{LOCK}")):
        scratch = lock.with_name(lock.name.removesuffix(LOCK))
        with suppress(LockedError, FileNotFoundError), held_stale_lock(lock):
            left = [path for path in (scratch, scratch.with_name(f"{scratch.name}{ASIDE}")) if os.path.lexists(path)]
            for path in left:
                _remove(path)
            removed += left
    return removed


def remove_unfinished_of(folder: Path, names: Collection[str]) -> None:
    """Remove scratch files and folders of killed processes, for these final names only."""
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
    """A scratch path beside `path`, locked while this process runs; what is left of it at the end is removed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if sweep:
        remove_unfinished(path.parent, glob.escape(path.name))
    # Random, not the process id: on a shared disk, two containers may have the same process ids.
    scratch = path.with_name(f"{path.name}.part-{secrets.token_hex(3)}")
    with held_lock(scratch.with_name(f"{scratch.name}{LOCK}")):
        try:
            yield scratch
        finally:
            _remove(scratch)


def _remove(path: Path) -> None:
    """Remove a file or folder if it exists; errors are ignored."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()
