"""The sources of `fetch`: the parameters of each, and the function that writes its data."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from wheretolook.base.errors import InputError
from wheretolook.downloads.attempts import RetryPolicy
from wheretolook.images.scan import Masks
from wheretolook.sources.label_columns import LabelOptions


@dataclass(frozen=True)
class SourceParameters:
    """Parameters of one source: all of `needed`, exactly one of `one_of` unless that is empty, any of `optional`."""

    needed: tuple[str, ...]
    one_of: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()

    def __str__(self) -> str:
        return ", ".join(self.needed + ((" or ".join(self.one_of),) if self.one_of else ()))


# Parameters of a table of labels.
TABLE = tuple(field.name for field in fields(LabelOptions))

SOURCES = {
    "synthetic": SourceParameters(("images_per_class", "size", "seed", "shortcut_class", "shortcut_share")),
    "folder": SourceParameters(("path", "masks"), optional=TABLE),
    "archive": SourceParameters(("sha256", "root", "masks"), one_of=("path", "url"), optional=TABLE),
    "drive": SourceParameters(("sha256", "root", "masks"), one_of=("id", "url"), optional=TABLE),
}

# click turns an empty path into Path("."), which is no archive.
EMPTY = ("", Path())


def check_source_options(source: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Check the parameters of a source, and return those that are set.

    Args:
        source: a key of SOURCES.
        options: parameters of all sources; None if not set. Of alternatives such as `path` and `url`, an empty one
            counts as not set.

    Raises:
        InputError: a parameter of another source, or a missing one.
    """
    parameters = SOURCES[source]
    subject = f"fetch with source: {source}"
    given = {name: value for name, value in options.items() if value is not None}
    foreign = [name for name in given if name not in parameters.needed + parameters.one_of + parameters.optional]
    if foreign:
        raise InputError(subject, f"only the parameters {parameters}", ", ".join(foreign), "remove them in params.yaml")
    given = {name: value for name, value in given.items() if name not in parameters.one_of or value not in EMPTY}
    missing = [name for name in parameters.needed if name not in given]
    if parameters.one_of and not any(name in given for name in parameters.one_of):
        missing.append(" or ".join(parameters.one_of))
    if missing:
        raise InputError(
            subject,
            expected=f"the parameters {parameters}",
            found=f"no {', no '.join(missing)}",
            hint="add it under fetch in params.yaml",
        )
    if not given.get("labels"):
        given = {name: value for name, value in given.items() if name not in parameters.optional}
    both = [name for name in parameters.one_of if name in given]
    if len(both) > 1:
        raise InputError(subject, f"one of {' and '.join(both)}", "both", "remove one of them in params.yaml")
    return given


def write_raw(source: str, given: Mapping[str, Any], folder: Path, cache: Path, policy: RetryPolicy) -> Sequence[str]:
    """Write the images and masks of a source.

    Args:
        source: a key of SOURCES.
        given: its parameters, from `check_source_options`.
        folder: empty; `images` and, if there are masks, `masks` are written to it.
        cache: folder for downloads.
        policy: timeout and retries of downloads.

    Returns:
        Names of the files of the source that were ignored because they have no image suffix.

    Raises:
        InputError: no such folder, archive or link, or no class folders of images in it.
    """
    # Imported here for the sake of start-up time: a synthetic source needs no network code, and an archive no renderer.
    if source == "synthetic":
        from wheretolook.sources.synthetic import write_cells

        rest = dict(given)
        write_cells(folder, mark_shares={rest.pop("shortcut_class"): rest.pop("shortcut_share")}, **rest)
        return ()
    if source == "folder":
        masks = Path(given["masks"]) if given["masks"] else None
        from wheretolook.sources.folder import copy_class_folders, copy_labelled

        if given.get("labels"):
            return copy_labelled(given["path"], masks, label_options(given), folder)
        return copy_class_folders(given["path"], masks, folder).ignored
    from wheretolook.sources.archive_source import fetch_outside

    return fetch_outside(given, folder, cache, policy, label_options({"labels": ""} | dict(given)))


def label_options(given: Mapping[str, Any]) -> LabelOptions:
    """The options of a table of labels, of the parameters of a source."""
    return LabelOptions(**{name: given[name] for name in TABLE if name in given})


def oddities(ignored: Sequence[str], masks: Masks) -> str:
    """Irregularities of a source that are no errors, to append to a line; '' if there are none."""
    odd = (
        (ignored, "file", "without an image suffix, ignored"),
        (masks.unused, "mask", "without an image"),
        (masks.without, "image", "without a mask in classes that have masks"),
    )
    return "".join(
        f"; {len(names)} {noun}{'s' * (len(names) != 1)} {what}, such as {names[0]}"
        for names, noun, what in odd
        if names
    )
