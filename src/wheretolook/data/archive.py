"""Unpack what can't be trusted: everything is judged before a byte is written, and the folder appears whole or not."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from wheretolook.data.archive_entries import Entry, contents, entries
from wheretolook.data.archive_names import Parts, below_root, is_junk, safe_parts, without_clashes
from wheretolook.data.archive_streams import BLOCK
from wheretolook.data.atomic import replacing_folder
from wheretolook.data.refusal import Refusal


@dataclass(frozen=True)
class Limits:
    """What an archive may claim.

    Attributes:
        files: entries.
        bytes: of all contents.
        ratio: bytes of all contents over the archive's own, once there are more than `free_bytes`.
        free_bytes: of contents, whatever the ratio: small archives of flat pictures compress well.
    """

    files: int = 2_000_000
    bytes: int = 1 << 40
    ratio: int = 200
    free_bytes: int = 1 << 28

    def most(self, archive: Path) -> int:
        """Bytes that an archive of this size may hold."""
        return min(self.bytes, max(self.free_bytes, self.ratio * archive.stat().st_size))


@dataclass(frozen=True)
class Unpacked:
    """What was done.

    Attributes:
        files: number of files written.
        bytes: of all of them.
        junk: files left out, as operating systems leave them behind.
        renamed: path in the archive to path in the folder, where two differ by case alone.
    """

    files: int
    bytes: int
    junk: tuple[str, ...]
    renamed: dict[str, str]


def unpack(archive: Path, folder: Path, root: str, limits: Limits = Limits()) -> Unpacked:
    """Unpack a zip or tar (plain, gz, bz2, xz, zst) to a folder, which is replaced as a whole.

    Args:
        archive: the file; its content tells its format, not its name.
        folder: the final folder; nothing stands there after an error but what stood there before.
        root: a folder inside the archive to take; '' for all of it, without folders that merely wrap the rest.
        limits: what counts as absurd.

    Raises:
        Refusal: no archive, damaged, encrypted, hostile (names outside, links, devices, absurd sizes), or empty.
    """
    most = limits.most(archive)
    with _about(archive):
        found = entries(archive, most)
        plan = _plan(found, root, limits.files, most)
        total = sum(found[place].size for place in plan.paths)
        _check_space(folder, total)
        with replacing_folder(folder) as scratch:
            for place, content in contents(archive, most):
                if place in plan.paths:
                    _write(scratch / plan.paths[place], content, found[place])
    return Unpacked(len(plan.paths), total, plan.junk, plan.renamed)


@dataclass(frozen=True)
class _Plan:
    paths: dict[int, PurePosixPath]
    junk: tuple[str, ...]
    renamed: dict[str, str]


def _plan(found: list[Entry], root: str, most_files: int, most_bytes: int) -> _Plan:
    """Where each entry goes, by its place in the archive; every entry is judged, also those that are left out."""
    _check_sizes(found, most_files, most_bytes)
    files: dict[Parts, int] = {}
    junk = []
    for place, entry in enumerate(found):
        parts = safe_parts(entry.name)
        if entry.kind == "folder" or not parts:
            continue
        if entry.kind != "file":
            raise Refusal(f"expected files and folders only, found the {entry.kind} {entry.name!r}; pack it without")
        if is_junk(parts):
            junk.append(entry.name)
        elif parts in files:
            raise Refusal(f"expected one file of each name, found {entry.name!r} twice; pack it again")
        else:
            files[parts] = place
    return _placed(files, root, tuple(junk))


def _placed(files: dict[Parts, int], root: str, junk: tuple[str, ...]) -> _Plan:
    if not files:
        raise Refusal("expected files, found none; pack it again")
    chosen = below_root(files, root)
    paths = without_clashes(chosen.values())
    renamed = {"/".join(below): str(paths[below]) for below in chosen.values() if paths[below].parts != below}
    return _Plan({files[parts]: paths[below] for parts, below in chosen.items()}, junk, renamed)


def _check_sizes(found: list[Entry], most_files: int, most_bytes: int) -> None:
    total = sum(entry.size for entry in found)
    if len(found) > most_files:
        raise Refusal(f"expected at most {most_files:,} entries, found {len(found):,}; pack it in parts")
    if total > most_bytes or any(entry.size < 0 for entry in found):
        raise Refusal(
            f"expected at most {most_bytes:,} bytes inside an archive of this size, found {total:,}: "
            "it grows as a decompression bomb does; if you made it yourself, unpack it and use `source: folder`"
        )


def _check_space(folder: Path, needed: int) -> None:
    existing = next(parent for parent in folder.absolute().parents if parent.exists())
    if needed > (free := shutil.disk_usage(existing).free):
        raise Refusal(f"expected {needed:,} free bytes on the disk to unpack it, found {free:,}; free some")


def _write(path: Path, content: BinaryIO, entry: Entry) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("xb") as file:
        while block := content.read(BLOCK):
            file.write(block)
        written = file.tell()
    if written != entry.size:
        raise Refusal(f"expected {entry.size:,} bytes in {entry.name!r}, found {written:,}; fetch or pack it again")


@contextmanager
def _about(archive: Path) -> Iterator[None]:
    """Name the archive in every refusal of what is inside it."""
    try:
        yield
    except Refusal as refusal:
        raise Refusal(f"{archive}: {refusal}") from refusal
