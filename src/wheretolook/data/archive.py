"""Unpack what can't be trusted: everything is judged before a byte is written, and the folder appears whole or not."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from wheretolook.data.archive_entries import Entry, blocks, contents, entries
from wheretolook.data.archive_plan import make_plan
from wheretolook.data.atomic import replacing_folder
from wheretolook.data.refusal import Refusal
from wheretolook.data.space import free_bytes


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


LIMITS = Limits()


def unpack(
    archive: Path, folder: Path, root: str, without: str = "", limits: Limits = LIMITS, called: str = "root"
) -> tuple[str, ...]:
    """Unpack a zip or tar (plain, gz, bz2, xz, zst) to a folder, which is replaced as a whole.

    Args:
        archive: the file; its content tells its format, not its name.
        folder: the final folder; nothing stands there after an error but what stood there before.
        root: a folder inside the archive to take; '' for all of it, without folders that merely wrap the rest.
        without: a folder inside the archive to leave out; '' for none.
        limits: what counts as absurd.
        called: the parameter that named `root`.

    Returns:
        Names of the files that stayed behind, since they are no images by their suffix.

    Raises:
        Refusal: no archive, damaged, encrypted, hostile (names outside, links, devices, absurd sizes), or empty.
    """
    most = limits.most(archive)
    with _about(archive):
        found = entries(archive, most)
        _check_sizes(found, limits.files, most)
        plan = make_plan(found, root, without, called)
        paths = plan.paths
        _check_space(folder, sum(found[place].size for place in paths))
        with replacing_folder(folder, recorded=False) as scratch:
            for place, content in contents(archive, most, paths):
                _write(scratch / paths[place], content, found[place])
    return plan.ignored


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
    if needed > (free := free_bytes(folder.parent)):
        raise Refusal(f"expected {needed:,} free bytes on the disk to unpack it, found {free:,}; free some")


def _write(path: Path, content: BinaryIO, entry: Entry) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("xb") as file:
        for block in blocks(content):
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
        raise Refusal(f"{archive}: {refusal.subject}", refusal.expected, refusal.found, refusal.hint) from refusal
