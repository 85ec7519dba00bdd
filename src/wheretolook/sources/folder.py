"""The source `folder`: class folders on this machine, copied so that DVC keeps the data that were used."""

import os
from collections.abc import Sequence
from pathlib import Path

from wheretolook.base.errors import InputError
from wheretolook.downloads.obtain import where
from wheretolook.images.class_level import ClassLevel, choice, class_level, same_inside, shown, sorted_beside_flat
from wheretolook.images.raw_data import Parts, composed, has_image_suffix, store, walk
from wheretolook.images.scan import Scan, find_masks, scan_classes
from wheretolook.sources.label_columns import LabelOptions
from wheretolook.sources.label_table import read_table
from wheretolook.sources.labelled import write_labelled


def copy_class_folders(images: Path, masks: Path | None, target: Path) -> Scan:
    """Copy class folders (or split folders that hold class folders) and their masks.

    Args:
        images: the folder that holds the class folders; outer folders with only one folder in them are skipped.
        masks: a folder of masks with the same paths as the images, in any suffix; None for no masks. It may be inside
            `images`.
        target: `images/CLASS/...` and, if there are masks, `masks/CLASS/...` are written to it, or packed (`store`).
            Other files are not copied.

    Returns:
        The images, which were copied, and the ignored files, which were not.

    Raises:
        InputError: no class folders, folders of class folders, one class only, an empty class, no folder of masks, or
            most masks belong to no image.
    """
    if target.resolve().is_relative_to(images.resolve()):
        raise InputError(
            images, f"a folder outside of {target.parent}", "one that contains it", "set another `fetch.path`"
        )
    if not images.is_dir():
        expected = "a folder with one folder of images for each class"
        raise InputError(images, expected, f"no folder{where(images)}", "check fetch.path")
    if masks is not None and not masks.is_dir():
        raise InputError(
            masks, "a folder of masks", f"no folder{where(masks)}", "check fetch.masks, or set it to '' for no masks"
        )
    found = [parts for parts, _ in walk(images, _inside(images, masks)) if has_image_suffix(parts[-1])]
    level = class_level(found)
    folder = images.joinpath(*level.head)
    scan = scan_classes(folder, _inside(folder, masks))
    if not scan.splits:
        _check_level(
            folder, level, [parts[len(level.head) :] for parts in found if parts[: len(level.head)] == level.head]
        )
    if masks is not None:
        matched = find_masks(masks, scan)
        if not matched.paths:
            raise InputError(
                masks,
                expected=f"masks with the paths of the images, such as {scan.files[0].mask_key}.png",
                found="none",
                hint="check fetch.masks, or set it to '' for no masks",
            )
        # Including masks that belong to no image, so that `prepare` reports them too.
        every = [*matched.paths.values(), *(masks / name for name in matched.unused)]
        relative = (Path(str(path)).relative_to(masks).parts for path in every)
        names = ["/".join(composed(parts)) for parts in relative]
        store(list(zip(names, map(str, every), strict=True)), target, "masks")
    store([(file.image_id, str(file.path)) for file in scan.files], target, "images")
    return scan


def copy_labelled(images: Path, masks: Path | None, options: LabelOptions, target: Path) -> tuple[str, ...]:
    """Copy the images that a table of labels describes into class folders.

    Args:
        images: the folder of images; a table is looked for in it, then at its own path.
        masks: a folder of masks; None for no masks.
        options: the tables and their columns.
        target: as in `copy_class_folders`, with table.csv and table.json.

    Returns:
        The ignored files.

    Raises:
        InputError: no such folder or table, or as `write_labelled`.
    """
    for folder, option in ((images, "path"), (masks, "masks")):
        if folder is not None and not folder.is_dir():
            raise InputError(folder, "a folder of images", f"no folder{where(folder)}", f"check fetch.{option}")
    tables = []
    for name in options.files:
        path = images / name if (images / name).is_file() else Path(name)
        if not path.is_file():
            raise InputError(
                name, f"a table in {images}, or at its own path", f"no file{where(path)}", "check fetch.labels"
            )
        tables.append(read_table(name, path.read_bytes()))
    return write_labelled(images, masks, tables, options, target, move=False)


def _check_level(folder: Path, level: ClassLevel, found: Sequence[Parts]) -> None:
    """Raise InputError if the folders hold class folders, and are not classes themselves."""
    names = same_inside(level)
    what = "several folders with the same folders in them"
    if not names:
        names, what = sorted_beside_flat(found, level), "folders of class folders beside folders of images"
    if names:
        paths = [str(folder / name) for name in names]
        raise InputError(
            folder,
            expected="one folder of images for each class",
            found=f"{what}: {shown(paths)}",
            hint=f"{choice('fetch.path', paths)}. If they are the classes, move their images directly into them",
        )


def _inside(folder: Path, masks: Path | None) -> Parts:
    """Path of the masks relative to a folder; () if they are not below it."""
    if masks is None:
        return ()
    # Paths as written first, then with links resolved: either may be the one that leads inside.
    for absolute in (os.path.abspath, os.path.realpath):
        inner, outer = Path(absolute(masks)), Path(absolute(folder))
        if inner.is_relative_to(outer):
            return inner.relative_to(outer).parts
    return ()
