"""Unpack the images of a zip or tar archive. Every entry is checked before anything is written."""

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path, PurePosixPath
from typing import IO

from tqdm import tqdm

from wheretolook.base.errors import InputError
from wheretolook.base.files import is_junk, replacing_folder
from wheretolook.base.resources import free_bytes
from wheretolook.images.class_level import class_level, refuse_nested, split_folders
from wheretolook.images.decode import SUFFIXES
from wheretolook.images.scan import check_kinds, kinds_found
from wheretolook.sources.archive_entries import ARCHIVE, Entry, blocks, contents, entries
from wheretolook.sources.archive_names import Parts, below_root, safe_parts, without_clashes


@dataclass(frozen=True)
class CheckedEntries:
    """The files of an archive that passed `check_entries`.

    Attributes:
        images: path to position in the list of entries, for each file with an image suffix.
        other_files: the same of all other files; of these, only tables of labels are unpacked.
    """

    images: dict[Parts, int]
    other_files: dict[Parts, int]


@dataclass(frozen=True)
class UnpackPlan:
    """Which entries are unpacked, and where to.

    Attributes:
        paths: position in the list of entries to path below the target folder, for each image.
        ignored: names of the files that are not unpacked, sorted.
    """

    paths: dict[int, PurePosixPath]
    ignored: tuple[str, ...]


def check_entries(listing: Sequence[Entry], root: str = "") -> CheckedEntries:
    """Check every entry, including those that are not unpacked.

    Args:
        listing: the entries.
        root: a folder of the archive. Files below it are kept even if its own name is hidden or that of a junk folder.

    Raises:
        InputError: a path that leaves the archive's folder, a link, a device, two images of one name, or no file.
    """
    named = [(place, safe_parts(entry.name)) for place, entry in enumerate(listing)]
    named = [(place, parts) for place, parts in named if parts and listing[place].kind != "folder"]
    above = _above([parts for _, parts in named], root)
    images: dict[Parts, int] = {}
    other_files: dict[Parts, int] = {}
    for place, parts in named:
        entry = listing[place]
        if entry.kind != "file":
            raise InputError(
                repr(entry.name), "files and folders only", f"an entry of kind {entry.kind}", "repack without it"
            )
        if is_junk(parts[len(above) :] if parts[: len(above)] == above else parts):
            continue
        if not is_image(parts[-1]):
            other_files[parts] = place
        elif parts in images:
            raise InputError(repr(entry.name), "one file of each name", "two", "repack with one of them")
        else:
            images[parts] = place
    if not images and not other_files:
        raise InputError(ARCHIVE, "files", "none", "repack it with the class folders")
    return CheckedEntries(images, other_files)


def plan_unpacking(listing: Sequence[Entry], root: str, without: str = "", parameter: str = "root") -> UnpackPlan:
    """Choose the images to unpack and the path of each.

    System files (`Thumbs.db`, `__MACOSX`) are skipped. Names that differ only in case are made distinct.

    Args:
        listing: the entries.
        root: the folder of the archive to unpack, '.' for all of it. '' finds the folder that holds the class folders,
            or the split folders.
        without: a folder of the archive to skip; '' for none.
        parameter: the parameter that set `root`: "root", or "masks" for a folder of masks.

    Raises:
        InputError: as `check_entries`; no image, none below `root`, a class folder without an image, split folders that
            cannot be used (`split_folders`), or, with `root` '', several folders that may hold the class folders.
    """
    checked = check_entries(listing, root)
    skipped = safe_parts(without)
    files = [
        parts for parts in (*checked.images, *checked.other_files) if not skipped or parts[: len(skipped)] != skipped
    ]
    below = below_root(files, root, parameter) if files else {}
    chosen = {parts: rest for parts, rest in below.items() if parts in checked.images}
    other_files = [parts for parts in below if parts not in checked.images]
    if not chosen:
        kinds, what = ", ".join(sorted(SUFFIXES)), "masks" if parameter == "masks" else "images"
        raise InputError(root or ARCHIVE, f"{what} ({kinds})", kinds_found(other_files), "convert them to PNG")
    if parameter != "masks":
        chosen = _class_folders(chosen, other_files, named=bool(root))
    paths = without_clashes(chosen.values())
    return UnpackPlan(
        {checked.images[parts]: paths[rest] for parts, rest in chosen.items()},
        tuple(sorted("/".join(below[parts]) for parts in other_files)),
    )


def is_image(name: str) -> bool:
    """Whether a file's name has the suffix of an image."""
    return "." in name[1:] and f".{name.rpartition('.')[2].lower()}" in SUFFIXES


def _above(files: Sequence[Parts], root: str) -> Parts:
    """The folders of `root`, or those that all files have in common. Their names do not count as hidden or junk."""
    # For an archive of ~/.cache/cells: a hidden folder in the home directory, and the data here.
    folders = [parts[:-1] for parts in files]
    ends = zip(min(folders, default=()), max(folders, default=()), strict=False)
    return safe_parts(root) or tuple(first for first, last in takewhile(lambda end: end[0] == end[1], ends))


def _class_folders(chosen: dict[Parts, Parts], other_files: Sequence[Parts], named: bool) -> dict[Parts, Parts]:
    """Keep the images of the folder that holds the class folders, with paths relative to it.

    Args:
        chosen: path of each image to its path below the root.
        other_files: paths of the other files.
        named: the root was given, so it is that folder.
    """
    above = next((parts[: len(parts) - len(below)] for parts, below in chosen.items()), ())
    level = class_level(chosen.values())
    head = () if named else level.head
    below = {parts: rest[len(head) :] for parts, rest in chosen.items() if rest[: len(head)] == head}
    place = (*above, *head)
    splits = split_folders(below.values(), "/".join(place), "fetch.root")
    if not splits and not named:
        refuse_nested(level, above, ARCHIVE)
    inside = [parts[len(place) :] for parts in other_files if parts[: len(place)] == place]
    if splits:
        inside = [parts for parts in inside if parts[0] in splits]
    check_kinds(inside, below.values(), 1 if splits else 0, "/".join(place))
    return below


@dataclass(frozen=True)
class Limits:
    """Largest archive that is unpacked.

    Attributes:
        files: number of entries.
        bytes: size of all contents.
        ratio: size of all contents divided by the size of the archive.
        free_bytes: size of all contents up to which `ratio` does not apply: flat pictures compress well.
    """

    files: int = 2_000_000
    bytes: int = 1 << 40
    ratio: int = 200
    free_bytes: int = 1 << 28

    def most(self, archive: Path) -> int:
        """Largest size of all contents, in bytes, for this archive."""
        return min(self.bytes, max(self.free_bytes, self.ratio * archive.stat().st_size))


LIMITS = Limits()


def unpack(
    archive: Path, folder: Path, root: str, without: str = "", limits: Limits = LIMITS, parameter: str = "root"
) -> tuple[str, ...]:
    """Unpack the images of a zip or tar (plain, gz, bz2, xz, zst). The folder is replaced as a whole, or not at all.

    Args:
        archive: the file. Its content decides the format, not its name.
        folder: the target folder.
        root, without, parameter: as in `plan_unpacking`.
        limits: largest archive that is accepted.

    Returns:
        Names of the files that were not unpacked because they have no image suffix.

    Raises:
        InputError: no archive, damaged, encrypted, empty, or unsafe (paths outside, links, devices, absurd sizes).
    """
    return unpack_planned(archive, folder, lambda files: plan_unpacking(files, root, without, parameter), limits)


def plan_labelled(listing: Sequence[Entry], tables: Collection[str]) -> UnpackPlan:
    """Choose all images, masks among them, and the tables of labels, each at its own path.

    Args:
        listing: the entries.
        tables: paths of the tables in the archive, or the last parts of these; others are on this machine.

    Raises:
        InputError: as `check_entries`; no image, or a table's name fits several files.
    """
    checked = check_entries(listing)
    if not checked.images:
        kinds = ", ".join(sorted(SUFFIXES))
        raise InputError(ARCHIVE, f"images ({kinds})", kinds_found(list(checked.other_files)), "convert them to PNG")
    chosen = dict(checked.images)
    for table in tables:
        parts = safe_parts(table.lstrip("/"))
        fits = [path for path in checked.other_files if path[-len(parts) :] == parts]
        fits = [parts] if parts in fits else fits
        if len(fits) > 1:
            found = ", ".join("/".join(path) for path in fits[:5])
            raise InputError("fetch.labels", f"one file {table} in the archive", found, "give its whole path")
        chosen |= {path: checked.other_files[path] for path in fits}
    paths = without_clashes(chosen)
    ignored = sorted("/".join(parts) for parts in checked.other_files if parts not in chosen)
    return UnpackPlan({place: paths[parts] for parts, place in chosen.items()}, tuple(ignored))


def unpack_planned(
    archive: Path, folder: Path, plan_of: Callable[[list[Entry]], UnpackPlan], limits: Limits = LIMITS
) -> tuple[str, ...]:
    """As `unpack`, for the entries that `plan_of` chooses."""
    most = limits.most(archive)
    with naming_archive(archive):
        listing = entries(archive, most)
        _check_sizes(listing, limits.files, most)
        plan = plan_of(listing)
        paths = plan.paths
        _check_space(folder, sum(listing[place].size for place in paths))
        with replacing_folder(folder, recorded=False) as scratch:
            unpacked = contents(archive, most, paths)
            for place, content in tqdm(unpacked, total=len(paths), desc="unpack", unit="file", disable=None):
                _write(scratch / paths[place], content, listing[place])
    return plan.ignored


def _check_sizes(listing: list[Entry], most_files: int, most_bytes: int) -> None:
    total = sum(entry.size for entry in listing)
    if len(listing) > most_files:
        raise InputError(ARCHIVE, f"at most {most_files:,} entries", f"{len(listing):,}", "split it into several")
    if total > most_bytes or any(entry.size < 0 for entry in listing):
        raise InputError(
            ARCHIVE,
            expected=f"at most {most_bytes:,} bytes in an archive of this size",
            found=f"{total:,}, as in a decompression bomb",
            hint="if you made it yourself, unpack it and use `source: folder`",
        )


def _check_space(folder: Path, needed: int) -> None:
    if needed > (free := free_bytes(folder.parent)):
        raise InputError(ARCHIVE, f"{needed:,} free bytes on the disk to unpack it", f"{free:,}", "free some space")


def _write(path: Path, content: IO[bytes], entry: Entry) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("xb") as file:
        for block in blocks(content):
            file.write(block)
        written = file.tell()
    if written != entry.size:
        raise InputError(
            repr(entry.name), f"{entry.size:,} bytes", f"{written:,}", "download or pack the archive again"
        )


@contextmanager
def naming_archive(archive: Path | str) -> Iterator[None]:
    """Put the archive's path or URL into the subject of every error about its content."""
    try:
        yield
    except InputError as error:
        subject = str(archive) if error.subject in ("", ARCHIVE) else f"{archive}: {error.subject}"
        raise InputError(subject, error.expected, error.found, error.hint) from error
