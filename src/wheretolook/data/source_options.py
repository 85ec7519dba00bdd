"""Which options each source of `fetch` takes."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wheretolook.data.refusal import Refusal


@dataclass(frozen=True)
class Takes:
    """The options of one source: all of `needed`, and exactly one of `one_of` where it names any."""

    needed: tuple[str, ...]
    one_of: tuple[str, ...] = ()

    def __str__(self) -> str:
        return ", ".join(self.needed + ((" or ".join(self.one_of),) if self.one_of else ()))


SOURCES = {
    "synthetic": Takes(("images_per_class", "size", "seed", "shortcut_class", "shortcut_share")),
    "folder": Takes(("path", "masks")),
    "archive": Takes(("sha256", "root", "masks"), one_of=("path", "url")),
    "drive": Takes(("sha256", "root", "masks"), one_of=("id", "url")),
}

# An empty path comes from click as that of the folder it stands in, which is no archive.
EMPTY = ("", Path())


def check_source_options(source: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """The options that a source was given.

    Args:
        source: a key of SOURCES.
        options: every option of every source; None for one that was not given. Of those that name the same thing in
            several ways, an empty one counts as not given.

    Raises:
        Refusal: one that the source doesn't take, or one that is missing; the message lists what it takes.
    """
    takes = SOURCES[source]
    given = {name: value for name, value in options.items() if value is not None}
    foreign = [name for name in given if name not in takes.needed + takes.one_of]
    if foreign:
        raise Refusal(
            f"fetch: the source {source} takes {takes}; found also {', '.join(foreign)};"
            " remove them under fetch in params.yaml"
        )
    given = {name: value for name, value in given.items() if name not in takes.one_of or value not in EMPTY}
    missing = [name for name in takes.needed if name not in given]
    if takes.one_of and not any(name in given for name in takes.one_of):
        missing.append(" or ".join(takes.one_of))
    if missing:
        raise Refusal(
            f"fetch: the source {source} takes {takes}; missing: {', '.join(missing)};"
            " add them under fetch in params.yaml"
        )
    if sum(name in given for name in takes.one_of) > 1:
        raise Refusal(f"fetch: the source {source} takes one of {' and '.join(takes.one_of)}; found both; remove one")
    return given
