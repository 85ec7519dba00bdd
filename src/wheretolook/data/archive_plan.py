"""What of a listing is taken, and where it goes: decided for every entry before a byte is written."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import PurePosixPath

from wheretolook.data.archive_entries import Entry
from wheretolook.data.archive_names import Parts, below_root, safe_parts, without_clashes
from wheretolook.data.class_level import class_level, refuse_nested
from wheretolook.data.decode import SUFFIXES
from wheretolook.data.junk import is_junk
from wheretolook.data.refusal import Refusal
from wheretolook.data.scan import check_kinds, kinds_found
from wheretolook.data.split_folders import split_folders
from wheretolook.errors import InputError


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
class Plan:
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
        Refusal: a name outside, a link, a device, a doubled name of an image, or no file at all.
    """
    named = [(place, safe_parts(entry.name)) for place, entry in enumerate(found)]
    named = [(place, parts) for place, parts in named if parts and found[place].kind != "folder"]
    above = _above([parts for _, parts in named], root)
    images: dict[Parts, int] = {}
    others: list[Parts] = []
    for place, parts in named:
        entry = found[place]
        if entry.kind != "file":
            raise Refusal(f"expected files and folders only, found the {entry.kind} {entry.name!r}; pack it without")
        if is_junk(parts[len(above) :] if parts[: len(above)] == above else parts):
            continue
        if not is_image(parts[-1]):
            others.append(parts)
        elif parts in images:
            raise Refusal(f"expected one file of each name, found {entry.name!r} twice; pack it again")
        else:
            images[parts] = place
    if not images and not others:
        raise Refusal("expected files, found none; pack it again")
    return Judged(images, others)


def make_plan(found: Sequence[Entry], root: str, without: str = "", called: str = "root") -> Plan:
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
    return Plan(
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
