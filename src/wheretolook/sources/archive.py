"""What of a listing is taken, and where it goes: decided for every entry before a byte is written."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from wheretolook.base.errors import InputError
from wheretolook.base.files import is_junk, replacing_folder
from wheretolook.base.resources import free_bytes
from wheretolook.images.class_level import class_level, refuse_nested, split_folders
from wheretolook.images.decode import SUFFIXES
from wheretolook.images.scan import check_kinds, kinds_found
from wheretolook.sources.archive_entries import Entry, blocks, contents, entries
from wheretolook.sources.archive_names import Parts, below_root, safe_parts, without_clashes


@dataclass(frozen=True)
class Judged:
    """The files of a listing, once every entry is judged.

    Attributes:
        images: place among the entries of each file with the suffix of an image.
        others: the paths of all other files, which stay behind.
    """

    images: dict[Parts, int]
    others: list[Parts]


@dataclass(frozen=True)
class UnpackPlan:
    """What of a listing is taken.

    Attributes:
        paths: place among the entries to path in the folder, of each image.
        ignored: names of the other files, sorted.
    """

    paths: dict[int, PurePosixPath]
    ignored: tuple[str, ...]


def judge(found: Sequence[Entry], root: str = "") -> Judged:
    """Judge every entry, also those that are left out.

    Args:
        found: the entries.
        root: a folder among them whose own name makes no junk of what is in it.

    Raises:
        InputError: a name outside, a link, a device, a doubled name of an image, or no file at all.
    """
    named = [(place, safe_parts(entry.name)) for place, entry in enumerate(found)]
    named = [(place, parts) for place, parts in named if parts and found[place].kind != "folder"]
    above = _above([parts for _, parts in named], root)
    images: dict[Parts, int] = {}
    others: list[Parts] = []
    for place, parts in named:
        entry = found[place]
        if entry.kind != "file":
            raise InputError(
                f"expected files and folders only, found the {entry.kind} {entry.name!r}", hint="pack it without"
            )
        if is_junk(parts[len(above) :] if parts[: len(above)] == above else parts):
            continue
        if not is_image(parts[-1]):
            others.append(parts)
        elif parts in images:
            raise InputError(f"expected one file of each name, found {entry.name!r} twice", hint="pack it again")
        else:
            images[parts] = place
    if not images and not others:
        raise InputError("expected files, found none", hint="pack it again")
    return Judged(images, others)


def make_plan(found: Sequence[Entry], root: str, without: str = "", called: str = "root") -> UnpackPlan:
    """Where each image goes; other files stay behind.

    Left out is what operating systems leave behind; of names that differ by case alone, all but one get another.

    Args:
        found: the entries.
        root: a folder among them to take, '.' for all; '' for the one that holds the class folders, or the splits that
            hold those, without the folders that merely wrap the rest.
        without: a folder among them to leave out; '' for none.
        called: the parameter that named `root`: "root", or "masks" for a folder of masks.

    Raises:
        InputError: as `judge`; no image, none below `root`, a class folder without an image, folders of splits that are
            no official split, or, with '', more than one folder that may hold the class folders.
    """
    judged = judge(found, root)
    left = safe_parts(without)
    files = [parts for parts in (*judged.images, *judged.others) if not left or parts[: len(left)] != left]
    below = below_root(files, root, called) if files else {}
    chosen = {parts: rest for parts, rest in below.items() if parts in judged.images}
    others = [parts for parts in below if parts not in judged.images]
    if not chosen:
        kinds, what = ", ".join(sorted(SUFFIXES)), "masks" if called == "masks" else "images"
        raise InputError(root or "the archive", f"{what} ({kinds})", kinds_found(others), "convert them to PNG")
    if called != "masks":
        chosen = _class_folders(chosen, others, named=bool(root))
    paths = without_clashes(chosen.values())
    return UnpackPlan(
        {judged.images[parts]: paths[rest] for parts, rest in chosen.items()},
        tuple(sorted("/".join(below[parts]) for parts in others)),
    )


def is_image(name: str) -> bool:
    """Whether a file's name has the suffix of an image."""
    return "." in name[1:] and f".{name.rpartition('.')[2].lower()}" in SUFFIXES


def _above(files: Sequence[Parts], root: str) -> Parts:
    """Folders whose names make no junk of what is in them: those of `root`, or those that wrap every file."""
    # As of an archive of ~/.cache/cells: hidden at home, and the data themselves here.
    folders = [parts[:-1] for parts in files]
    ends = zip(min(folders, default=()), max(folders, default=()), strict=False)
    return safe_parts(root) or tuple(first for first, last in takewhile(lambda end: end[0] == end[1], ends))


def _class_folders(chosen: dict[Parts, Parts], others: Sequence[Parts], named: bool) -> dict[Parts, Parts]:
    """Of the images and their names, those in the folder that holds the class folders, with names from there on.

    Args:
        chosen: path of each image to its path below the root.
        others: paths of the files that are no images.
        named: the root was given, so it is the folder.
    """
    above = next((parts[: len(parts) - len(below)] for parts, below in chosen.items()), ())
    level = class_level(chosen.values())
    head = () if named else level.head
    below = {parts: rest[len(head) :] for parts, rest in chosen.items() if rest[: len(head)] == head}
    place = (*above, *head)
    splits = split_folders(below.values(), "/".join(place), "fetch.root")
    if not splits and not named:
        refuse_nested(level, above)
    inside = [parts[len(place) :] for parts in others if parts[: len(place)] == place]
    if splits:
        inside = [parts for parts in inside if parts[0] in splits]
    check_kinds(inside, below.values(), 1 if splits else 0, "/".join(place))
    return below


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
        InputError: no archive, damaged, encrypted, hostile (names outside, links, devices, absurd sizes), or empty.
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
        raise InputError(f"expected at most {most_files:,} entries, found {len(found):,}", hint="pack it in parts")
    if total > most_bytes or any(entry.size < 0 for entry in found):
        raise InputError(
            (
                f"expected at most {most_bytes:,} bytes inside an archive of this size, found {total:,}: it "
                "grows as a decompression bomb does"
            ),
            hint="if you made it yourself, unpack it and use `source: folder`",
        )


def _check_space(folder: Path, needed: int) -> None:
    if needed > (free := free_bytes(folder.parent)):
        raise InputError(f"expected {needed:,} free bytes on the disk to unpack it, found {free:,}", hint="free some")


def _write(path: Path, content: BinaryIO, entry: Entry) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("xb") as file:
        for block in blocks(content):
            file.write(block)
        written = file.tell()
    if written != entry.size:
        raise InputError(
            f"expected {entry.size:,} bytes in {entry.name!r}, found {written:,}", hint="fetch or pack it again"
        )


@contextmanager
def _about(archive: Path) -> Iterator[None]:
    """Name the archive in every refusal of what is inside it."""
    try:
        yield
    except InputError as refusal:
        raise InputError(f"{archive}: {refusal.subject}", refusal.expected, refusal.found, refusal.hint) from refusal
