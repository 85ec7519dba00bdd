"""Which folders this program may replace: those that it wrote, and that hold nothing else since.

A record beside the folder, `.NAME.written`, has a digest of the names and sizes of the files in it. The record is not
inside, since the folder is an output of DVC, whose bytes count. DVC removes outputs before a stage runs, so the check
matters for stages that run by hand, and for a path that leads elsewhere.
"""

import hashlib
import os
from contextlib import suppress
from pathlib import Path

from wheretolook.data.junk import JUNK
from wheretolook.errors import InputError

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
