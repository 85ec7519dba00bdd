"""Paths of an archive's files: unsafe names are errors, names that differ only in case are made distinct."""

import re
import sys
import unicodedata
from collections.abc import Iterable
from pathlib import PurePosixPath

from wheretolook.base.errors import InputError, is_readable

Parts = tuple[str, ...]

# File systems allow 255 bytes a name; `~2` may be added.
LONGEST_NAME = 240
DEEPEST = 32


def safe_parts(name: str) -> Parts:
    """Split the name of an archive's entry into its parts, and check that it stays inside the target folder.

    Backslashes are separators (archives from Windows). Names are composed (NFC), so that an archive gives the same
    names on every system.

    Raises:
        InputError: an absolute path, one with `..`, with a control character, too long or too deep.
    """
    # ASCII names need no normalisation, and there may be a million of them.
    plain = (name if name.isascii() else unicodedata.normalize("NFC", name)).replace("\\", "/")
    if plain.startswith("/") or (plain[1:2] == ":" and re.match(r"[A-Za-z]:", plain)):
        raise InputError(repr(name), "a relative path", "an absolute path", "repack from inside the folder")
    parts = tuple(part for part in plain.split("/") if part not in ("", "."))
    if ".." in parts:
        raise InputError(repr(name), "a path inside the archive", "'..'", "repack from inside the folder")
    if not is_readable(plain):
        raise InputError(
            ascii(name)[:200],
            expected="a readable name",
            found="a control character, an invisible character or an unpaired surrogate",
            hint="rename the file and repack",
        )
    if len(parts) > DEEPEST or (
        len(plain.encode()) > LONGEST_NAME and any(len(part.encode()) > LONGEST_NAME for part in parts)
    ):
        longest = max(len(part.encode()) for part in parts)
        raise InputError(
            f"{name[:80]!r}…",
            expected=f"at most {DEEPEST} folders and {LONGEST_NAME} bytes a name",
            found=f"{len(parts) - 1} folders and {longest} bytes",
            hint="shorten the path and repack",
        )
    # Share one string object among all paths of a folder.
    return (*map(sys.intern, parts[:-1]), *parts[-1:])


def below_root(files: Iterable[Parts], root: str, parameter: str = "root") -> dict[Parts, Parts]:
    """Map each file below `root` to its path relative to `root`.

    Args:
        files: every file of the archive.
        root: a folder of the archive, with `/` between folders. '' takes all, without the outer folders that hold only
            one other folder.
        parameter: the parameter that set it.

    Raises:
        InputError: there is no file below `root`.
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
            f"fetch.{parameter}",
            expected="a folder of the archive with files in it",
            found=f"{root!r}; the archive has {found}",
            hint=f"set `fetch.{parameter}` to one of these, or to ''",
        )
    return chosen


def _wrappers(files: list[Parts]) -> int:
    """Number of leading folders that hold only one folder each, above the class folders."""
    depth = 0
    while files and all(len(parts) > depth + 1 and parts[depth] == files[0][depth] for parts in files):
        below = {parts[depth + 1] for parts in files if len(parts) > depth + 2}
        if len(below) < 2 and not all(len(parts) > depth + 2 for parts in files):
            break
        depth += 1
    return depth


def without_clashes(files: Iterable[Parts]) -> dict[Parts, PurePosixPath]:
    """Give each file a path that is unique on file systems that ignore case.

    Of names that differ only in case, the first in code point order keeps its name; the others get `~2`, `~3`, ...
    before the suffix. The result does not depend on the order of the archive.

    Raises:
        InputError: a name is both a file and a folder.
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
                    repr("/".join(key)), "a file or a folder", "both, under one name", "rename one of them and repack"
                )
            if key not in given:
                given[key] = (*parent, _free_name(parts[depth - 1], used.setdefault(parent, {})))
            parent = given[key]
        paths[parts] = PurePosixPath(*parent)
    return paths


def _free_name(name: str, used: dict[str, int]) -> str:
    """Return `name`, with a number if it is taken. `used` maps case-folded names to the last number given out."""
    plain, folded = PurePosixPath(name), name.casefold()
    candidate, count = name, used.get(folded, 1)
    while candidate.casefold() in used:
        count += 1
        candidate = f"{plain.stem}~{count}{plain.suffix}"
    used[folded] = count
    used.setdefault(candidate.casefold(), 1)
    return candidate
