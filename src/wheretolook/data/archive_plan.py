"""What of a listing is taken, and where it goes: decided for every entry before a byte is written."""

from collections.abc import Sequence
from itertools import takewhile
from pathlib import PurePosixPath

from wheretolook.data.archive_entries import Entry
from wheretolook.data.archive_names import Parts, below_root, safe_parts, without_clashes
from wheretolook.data.class_level import class_level, refuse_nested
from wheretolook.data.junk import is_junk
from wheretolook.data.refusal import Refusal


def make_plan(found: Sequence[Entry], root: str, without: str = "", called: str = "root") -> dict[int, PurePosixPath]:
    """Where each entry goes; every entry is judged, also those that are left out.

    Left out is what operating systems leave behind; of names that differ by case alone, all but one get another.

    Args:
        found: the entries.
        root: a folder among them to take, '.' for all; '' for the one that holds the class folders, without those
            that merely wrap the rest.
        without: a folder among them to leave out; '' for none.
        called: the parameter that named `root`.

    Returns:
        Place among the entries to path in the folder, of those that are taken.

    Raises:
        Refusal: a name outside, a link, a device, a doubled name, no file at all, none below `root`, or, with '', more
            than one folder that may hold the class folders.
    """
    named = [(place, safe_parts(entry.name)) for place, entry in enumerate(found)]
    named = [(place, parts) for place, parts in named if parts and found[place].kind != "folder"]
    above = _above([parts for _, parts in named], root)
    files: dict[Parts, int] = {}
    for place, parts in named:
        entry = found[place]
        if entry.kind != "file":
            raise Refusal(f"expected files and folders only, found the {entry.kind} {entry.name!r}; pack it without")
        if is_junk(parts[len(above) :] if parts[: len(above)] == above else parts):
            continue
        if parts in files:
            raise Refusal(f"expected one file of each name, found {entry.name!r} twice; pack it again")
        files[parts] = place
    if not files:
        raise Refusal("expected files, found none; pack it again")
    left = safe_parts(without)
    return _placed({parts: n for parts, n in files.items() if not left or parts[: len(left)] != left}, root, called)


def _above(files: Sequence[Parts], root: str) -> Parts:
    """Folders whose names make no junk of what is in them: those of `root`, or those that wrap every file."""
    # As of an archive of ~/.cache/cells: hidden at home, and the data themselves here.
    folders = [parts[:-1] for parts in files]
    ends = zip(min(folders, default=()), max(folders, default=()), strict=False)
    return safe_parts(root) or tuple(first for first, last in takewhile(lambda end: end[0] == end[1], ends))


def _placed(files: dict[Parts, int], root: str, called: str) -> dict[int, PurePosixPath]:
    chosen = below_root(files, root, called)
    if not root:
        chosen = _class_folders(chosen)
    paths = without_clashes(chosen.values())
    return {files[parts]: paths[below] for parts, below in chosen.items()}


def _class_folders(chosen: dict[Parts, Parts]) -> dict[Parts, Parts]:
    """Of the files and their names, those in the folder that holds the class folders, with names from there on."""
    level = class_level(chosen.values())
    above = next((parts[: len(parts) - len(below)] for parts, below in chosen.items()), ())
    refuse_nested(level, above)
    depth = len(level.head)
    return {parts: below[depth:] for parts, below in chosen.items() if below[:depth] == level.head}
