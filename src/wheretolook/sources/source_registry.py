"""Class folders on this machine as a source: copied, so that DVC keeps what was worked with."""

import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wheretolook.base.errors import InputError
from wheretolook.downloads.attempts import Patience
from wheretolook.downloads.obtain import where
from wheretolook.images.class_level import ClassLevel, choice, class_level, same_inside, shown, sorted_beside_flat
from wheretolook.images.scan import Masks, Parts, Scan, composed, find_masks, image_paths, scan_classes


def copy_class_folders(images: Path, masks: Path | None, target: Path) -> Scan:
    """Copy class folders and their masks.

    Args:
        images: a folder with one folder of images for each class, or with one folder that holds those.
        masks: a parallel folder of masks, found by the images' names without suffix; None for none. One that lies
            inside `images` holds no images.
        target: gets `images/CLASS/...` and, where there are masks, `masks/CLASS/...`; other files stay behind.

    Returns:
        What stood there: the images were copied, what was ignored was not.

    Raises:
        InputError: no class folders, folders of class folders, one class only, an empty class, no folder of masks, or
            masks of which most fit no image.
    """
    if target.resolve().is_relative_to(images.resolve()):
        raise InputError(
            images, expected=f"a folder beside {target.parent}", found="one that holds it", hint="give another path"
        )
    if not images.is_dir():
        expected = "a folder with one folder of images for each class"
        raise InputError(f"{images}", expected, f"no folder{where(images)}", "check fetch.path")
    if masks is not None and not masks.is_dir():
        hint = "check fetch.masks; '' stands for no masks"
        raise InputError(f"{masks}", "a folder of masks", f"none{where(masks)}", hint)
    folder = _class_folders(images, masks)
    scan = scan_classes(folder, _inside(folder, masks))
    if not scan.splits:
        _check_level(images, folder, masks)
    if masks is not None:
        found = find_masks(masks, scan)
        if not found.paths:
            raise InputError(
                masks, expected=f"masks beside the images, such as {scan.files[0].mask_key}.png", found="none"
            )
        # Those of no image too: `prepare` then says so as well.
        every = [*found.paths.values(), *(masks / name for name in found.unused)]
        _copy((path, target.joinpath("masks", *composed(path.relative_to(masks).parts))) for path in every)
    _copy((file.path, target / "images" / file.image_id) for file in scan.files)
    return scan


def _class_folders(images: Path, masks: Path | None) -> Path:
    """The folder that holds the class folders: the one that was given, or the only one in it."""
    if not images.is_dir():
        return images
    return images.joinpath(*_level(images, masks).head)


def _level(images: Path, masks: Path | None) -> ClassLevel:
    return class_level(path.relative_to(images).parts for path in image_paths(images, _inside(images, masks)))


def _check_level(images: Path, folder: Path, masks: Path | None) -> None:
    """Refuse folders of class folders in the place of class folders."""
    level = _level(images, masks)
    found = same_inside(level)
    what = "folders of the same folders"
    if not found:
        inside = (path.relative_to(folder).parts for path in image_paths(folder, _inside(folder, masks)))
        found, what = sorted_beside_flat(inside, level), "folders of class folders beside folders of images"
    if found:
        paths = [str(folder / name) for name in found]
        raise InputError(
            str(folder),
            expected="one folder of images for each class",
            found=f"{what}: {shown(paths)}",
            hint=f"{choice('fetch.path', paths)}; if they are the classes themselves, put their images straight into"
            " them",
        )


def _inside(folder: Path, masks: Path | None) -> Parts:
    """The path of the masks in a folder; () where they stand elsewhere, or are the folder itself."""
    # As the paths are written, then as they are without links: either may lead from the one to the other.
    for whole in (os.path.abspath, os.path.realpath) if masks is not None else ():
        inner, outer = Path(whole(masks)), Path(whole(folder))
        if inner.is_relative_to(outer):
            return inner.relative_to(outer).parts
    return ()


def _copy(pairs: Iterable[tuple[Path, Path]]) -> None:
    """Copy the files' bytes, without the times and rights of the source."""
    for source, copy in pairs:
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, copy)


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
        InputError: one that the source doesn't take, or one that is missing; the message lists what it takes.
    """
    takes = SOURCES[source]
    given = {name: value for name, value in options.items() if value is not None}
    foreign = [name for name in given if name not in takes.needed + takes.one_of]
    if foreign:
        raise InputError(
            f"fetch: the source {source} takes {takes}",
            hint=f"found also {', '.join(foreign)}; remove them under fetch in params.yaml",
        )
    given = {name: value for name, value in given.items() if name not in takes.one_of or value not in EMPTY}
    missing = [name for name in takes.needed if name not in given]
    if takes.one_of and not any(name in given for name in takes.one_of):
        missing.append(" or ".join(takes.one_of))
    if missing:
        raise InputError(
            f"fetch: the source {source} takes {takes}",
            hint=f"missing: {', '.join(missing)}; add them under fetch in params.yaml",
        )
    if sum(name in given for name in takes.one_of) > 1:
        raise InputError(
            f"fetch: the source {source} takes one of {' and '.join(takes.one_of)}", hint="found both; remove one"
        )
    return given


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
        InputError: no such folder, archive or link; or one that does not hold class folders of images.
    """
    # Imports stand inside: a synthetic source needs no network, nor an archive a renderer.
    if source == "synthetic":
        from wheretolook.sources.synthetic import write_cells

        rest = dict(given)
        write_cells(folder, mark_shares={rest.pop("shortcut_class"): rest.pop("shortcut_share")}, **rest)
        return ()
    if source == "folder":
        masks = Path(given["masks"]) if given["masks"] else None
        return copy_class_folders(given["path"], masks, folder).ignored
    from wheretolook.sources.archive_source import fetch_outside

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
