"""Where each file of an archive may go: names that leave the folder are refused, odd ones are put in order."""

import re
import sys
import unicodedata
from collections.abc import Iterable
from pathlib import PurePosixPath

from wheretolook.base.display import is_readable
from wheretolook.base.errors import InputError

Parts = tuple[str, ...]

# File systems allow 255 bytes a name; some room is left for the mark of a clash.
LONGEST_NAME = 240
DEEPEST = 32


def safe_parts(name: str) -> Parts:
    """The folders and the name of an archive's entry, once it is sure that they stay inside.

    Backslashes count as separators (archives from Windows), and text is composed (NFC), so that the same archive gives
    the same names on every system.

    Raises:
        InputError: an absolute name, one with `..`, with a control character, too long or too deep.
    """
    # Most names are ASCII, which is composed; an archive may have a million of them.
    plain = (name if name.isascii() else unicodedata.normalize("NFC", name)).replace("\\", "/")
    if plain.startswith("/") or (plain[1:2] == ":" and re.match(r"[A-Za-z]:", plain)):
        raise InputError(
            f"expected names inside the archive's own folder, found the absolute name {name!r}",
            hint="pack it anew, from inside its folder",
        )
    parts = tuple(part for part in plain.split("/") if part not in ("", "."))
    if ".." in parts:
        raise InputError(
            f"expected names inside the archive's own folder, found {name!r}, which leaves it",
            hint="pack it anew, from inside its folder",
        )
    if not is_readable(plain):
        raise InputError(
            (
                "expected readable names, found a control character, an invisible one or half a character in "
                f"{ascii(name)[:200]}"
            ),
            hint="rename it, and pack anew",
        )
    if len(parts) > DEEPEST or (
        len(plain.encode()) > LONGEST_NAME and any(len(part.encode()) > LONGEST_NAME for part in parts)
    ):
        raise InputError(
            f"expected at most {DEEPEST} folders and {LONGEST_NAME} bytes a name, found {name[:80]!r}…",
            hint="shorten it, and pack anew",
        )
    # One object for a folder's name, in however many paths it stands.
    return (*map(sys.intern, parts[:-1]), *parts[-1:])


def below_root(files: Iterable[Parts], root: str, called: str = "root") -> dict[Parts, Parts]:
    """The files of the folder `root` inside the archive, and their names from there on.

    Args:
        files: every file of the archive.
        root: a folder inside it, with `/` between folders; '' takes the whole, without the folders that merely wrap it.
        called: the parameter that named it.

    Raises:
        InputError: no file stands below `root`.
    """
    files = list(files)
    if not root:
        depth = _wrappers(files)
        return {parts: parts[depth:] for parts in files}
    head = safe_parts(root)
    chosen = {parts: parts[len(head) :] for parts in files if parts[: len(head)] == head and len(parts) > len(head)}
    if not chosen:
        folders = sorted({"/".join(parts[:depth]) for parts in files for depth in (1, 2) if len(parts) > depth})
        found = ", ".join(folders[:12]) + (", …" if len(folders) > 12 else "") if folders else "no folder"
        raise InputError(
            f"expected the folder {root!r} inside, found {found}",
            hint=f"set `{called}` to one of these, from the top on, or to ''",
        )
    return chosen


def _wrappers(files: list[Parts]) -> int:
    """How many leading folders hold nothing but the next one, down to the folders that tell files apart."""
    depth = 0
    while files and all(len(parts) > depth + 1 and parts[depth] == files[0][depth] for parts in files):
        below = {parts[depth + 1] for parts in files if len(parts) > depth + 2}
        if len(below) < 2 and not all(len(parts) > depth + 2 for parts in files):
            break
        depth += 1
    return depth


def without_clashes(files: Iterable[Parts]) -> dict[Parts, PurePosixPath]:
    """A path for each file, such that no two are one where upper and lower case are.

    Of names that differ by case alone, the first in code point order keeps its name; the others get `~2`, `~3`, ...
    before the ending. The order of the archive has no say.

    Raises:
        InputError: one name is a file and a folder.
    """
    given: dict[Parts, Parts] = {}
    used: dict[Parts, dict[str, int]] = {}
    paths: dict[Parts, PurePosixPath] = {}
    for parts in sorted(files):
        parent: Parts = ()
        for depth in range(1, len(parts) + 1):
            key = parts[:depth] if depth < len(parts) else (*parts, "")
            if depth < len(parts) and (*key, "") in given:
                raise InputError(
                    f"expected one meaning for each name, found {'/'.join(key)!r} as a file and as a folder"
                )
            if key not in given:
                given[key] = (*parent, _free_name(parts[depth - 1], used.setdefault(parent, {})))
            parent = given[key]
        paths[parts] = PurePosixPath(*parent)
    return paths


def _free_name(name: str, used: dict[str, int]) -> str:
    """A name that is none of `used`, folded names to the last number that was given to one like it."""
    plain, folded = PurePosixPath(name), name.casefold()
    candidate, count = name, used.get(folded, 1)
    while candidate.casefold() in used:
        count += 1
        candidate = f"{plain.stem}~{count}{plain.suffix}"
    used[folded] = count
    used.setdefault(candidate.casefold(), 1)
    return candidate
