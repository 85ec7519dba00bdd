"""Raw images out of each kind of source, in one layout: `images/CLASS/FILE`, and `masks/CLASS/FILE` of evidence."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from wheretolook.data.attempts import Patience
from wheretolook.data.scan import Masks


def write_raw(source: str, given: Mapping[str, Any], folder: Path, cache: Path, patience: Patience) -> Sequence[str]:
    """Write what a source holds.

    Args:
        source: "synthetic", "folder", "archive" or "drive".
        given: its options, as `check_source_options` gives them.
        folder: empty; written.
        cache: the folder for what was downloaded.
        patience: with the network.

    Returns:
        Files that were left behind, since their names are not those of images.

    Raises:
        Refusal: no such folder, archive or link; or one that does not hold class folders of images.
    """
    # Imports stand inside: a synthetic source needs no network, nor an archive a renderer.
    if source == "synthetic":
        from wheretolook.data.synthetic import write_cells

        rest = dict(given)
        write_cells(folder, mark_shares={rest.pop("shortcut_class"): rest.pop("shortcut_share")}, **rest)
        return ()
    if source == "folder":
        from wheretolook.data.folder import copy_class_folders

        masks = Path(given["masks"]) if given["masks"] else None
        return copy_class_folders(given["path"], masks, folder).ignored
    from wheretolook.data.archive_fetch import fetch_outside

    return fetch_outside(given, folder, cache, patience)


def oddities(ignored: Sequence[str], masks: Masks) -> str:
    """What is odd about a source and yet no error, to be appended to a line; empty where nothing is."""
    odd = (
        (ignored, "file", "left behind, whose names are not those of images"),
        (masks.unused, "mask", "of no image"),
        (masks.without, "image", "without a mask, of classes that have some"),
    )
    return "".join(
        f"; {len(names)} {noun}{'s' * (len(names) != 1)} {what}, such as {names[0]}"
        for names, noun, what in odd
        if names
    )
