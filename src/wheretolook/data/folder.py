"""Class folders on this machine as a source: copied, so that DVC keeps what was worked with."""

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from wheretolook.data.class_level import ClassLevel, choice, class_level, same_inside, shown, sorted_beside_flat
from wheretolook.data.obtain import where
from wheretolook.data.refusal import Refusal
from wheretolook.data.scan import Parts, Scan, composed, find_masks, image_paths, scan_classes
from wheretolook.errors import InputError


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
        Refusal: no class folders, folders of class folders, one class only, an empty class, no folder of masks, or
            masks of which most fit no image.
    """
    if target.resolve().is_relative_to(images.resolve()):
        raise Refusal(f"{images}: expected a folder beside {target.parent}; found one that holds it; give another path")
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
            raise Refusal(
                f"{masks}: expected masks beside the images, such as {scan.files[0].mask_key}.png; found none"
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
