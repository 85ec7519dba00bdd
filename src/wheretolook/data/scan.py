"""The image files of a folder with one folder for each class, and the masks that belong to them."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from wheretolook.data.decode import SUFFIXES
from wheretolook.data.junk import is_junk
from wheretolook.data.readable import is_readable
from wheretolook.data.refusal import Refusal

Parts = tuple[str, ...]


@dataclass(frozen=True)
class ImageFile:
    """One image of a class folder."""

    image_id: str  # its path below the folder of classes, with slashes
    class_name: str
    path: Path

    @property
    def mask_key(self) -> str:
        """What its mask is found by: the path without the suffix."""
        return self.image_id.rpartition(".")[0]


@dataclass(frozen=True)
class Scan:
    """What stands in a folder of class folders."""

    files: tuple[ImageFile, ...]  # sorted by image_id
    ignored: tuple[str, ...]  # other files, sorted; junk is not listed

    @property
    def class_names(self) -> tuple[str, ...]:
        """Sorted: a class' place here is its class index."""
        return tuple(sorted({file.class_name for file in self.files}))


@dataclass(frozen=True)
class Masks:
    """Which masks belong to which images, and what is left over."""

    paths: dict[str, Path]  # by image_id
    unused: tuple[str, ...]  # masks of no image: their paths below the folder of masks, sorted
    without: tuple[str, ...]  # image_id of those that have none, where others of their class have one; sorted


def scan_classes(folder: Path, without: Parts = ()) -> Scan:
    """Find the images of each class, in subfolders too.

    Args:
        folder: holds one folder of images for each class.
        without: the path of a folder in it that is passed over, whatever it holds; () for none.

    Raises:
        Refusal: no folder, fewer than two class folders, one without an image, a name with a control character, or a
            pipe or device named as an image.
    """
    if not folder.is_dir():
        raise Refusal(f"{folder}: expected a folder with one folder of images for each class; found no folder")
    named = (child.name for child in folder.iterdir() if child.is_dir() and not is_junk([child.name]))
    classes = sorted(name for name in named if without != (name,))
    if not classes:
        raise Refusal(f"{folder}: expected one folder of images for each class; found no folder in it{_hint(folder)}")
    files, ignored = [], []
    for class_name in classes:
        _check_name(class_name)
        for path in sorted((folder / class_name).rglob("*")):
            parts = path.relative_to(folder).parts
            if is_junk(parts) or _is_below(parts, without) or not _is_file(path):
                continue
            name = "/".join(parts)
            _check_name(name)
            if path.suffix.lower() in SUFFIXES:
                files.append(ImageFile(name, class_name, path))
            else:
                ignored.append(name)
    counts = Counter(file.class_name for file in files)
    # A folder that holds nothing but the one to pass over is no class.
    _check_classes(folder, [name for name in classes if counts[name] or name not in without[:1]], counts)
    return Scan(tuple(sorted(files, key=lambda file: file.image_id)), tuple(sorted(ignored)))


def image_paths(folder: Path, without: Parts = ()) -> list[Path]:
    """Every image file below a folder, sorted; without junk, and what stands below the path `without` in it."""
    # By way of what stands in the folder itself: a class folder may be a link, and those further down are not followed.
    below = sorted(path for child in folder.iterdir() for path in (child, *child.rglob("*")))
    inside = ((path, path.relative_to(folder).parts) for path in below if path.suffix.lower() in SUFFIXES)
    return [path for path, parts in inside if not is_junk(parts) and not _is_below(parts, without) and _is_file(path)]


def find_masks(folder: Path, scan: Scan, called: str = "") -> Masks:
    """The mask of each image, found by the same path with another suffix.

    Args:
        folder: holds the same class folders as the images; there are no masks where there is no such folder.
        scan: the images.
        called: stands for the folder in what the user reads; '' for its path.

    Raises:
        Refusal: two masks for one image, or fewer than half of the masks fit an image.
    """
    if not folder.is_dir():
        return Masks({}, (), ())
    names: dict[str, str] = {}
    for path in image_paths(folder):
        name = path.relative_to(folder).as_posix()
        _check_name(name)
        key = name.rpartition(".")[0]
        if key in names:
            other = PurePosixPath(names[key]).name
            raise Refusal(f"{path}: expected one mask for each image; {other} stands beside it; remove one")
        names[key] = name
    paths = {file.image_id: folder / names[file.mask_key] for file in scan.files if file.mask_key in names}
    keys = {file.mask_key for file in scan.files}
    masked = {file.class_name for file in scan.files if file.mask_key in names}
    unused = tuple(name for key, name in names.items() if key not in keys)
    if 2 * len(unused) > len(names):
        raise Refusal(_misnamed(called or str(folder), scan, paths, unused, len(names)))
    without = tuple(file.image_id for file in scan.files if file.class_name in masked and file.image_id not in paths)
    return Masks(paths, unused, without)


def _misnamed(called: str, scan: Scan, paths: dict[str, Path], unused: Sequence[str], count: int) -> str:
    """Why most masks belong to no image: one name as it is, and one as it should be, of the same class if it can be."""
    bare = [file.mask_key for file in scan.files if file.image_id not in paths] or [scan.files[0].mask_key]
    near = next((key for key in bare if key.partition("/")[0] == unused[0].partition("/")[0]), bare[0])
    fit = count - len(unused)
    belong = f"{fit} of {count} masks belong" if fit else f"none of {count} masks belongs"
    return (
        f"{called}: {belong} to an image; expected the images' paths, such as {near}.png; found {unused[0]}; rename"
        " the masks as their images, or leave out those that have none"
    )


def _is_file(path: Path) -> bool:
    """Whether a path is a file; an image that leads to none is refused, for it would be missed in silence."""
    if path.suffix.lower() in SUFFIXES and path.is_symlink() and not path.exists():
        raise Refusal(
            f"{path}: expected an image, found a link to {path.readlink()}, which is not there; bring that, or remove"
            " the link"
        )
    if path.suffix.lower() in SUFFIXES and path.exists() and not (path.is_file() or path.is_dir()):
        raise Refusal(f"{path}: expected an image, found a pipe, a socket or a device; remove it")
    return path.is_file()


def _is_below(parts: Parts, folder: Parts) -> bool:
    return bool(folder) and parts[: len(folder)] == folder


def _check_name(name: str) -> None:
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        raise Refusal(f"{name!a}: expected a file name in UTF-8; found other bytes; rename the file") from None
    if not is_readable(name):
        raise Refusal(f"{name!r}: expected a name without control characters; found one; rename the file or folder")


def _check_classes(folder: Path, classes: list[str], counts: Counter[str]) -> None:
    """Refuse what no classifier can be trained on."""
    empty = [name for name in classes if not counts[name]]
    if not counts:
        shown = ", ".join(classes[:5])
        raise Refusal(f"{folder}: expected images ({', '.join(sorted(SUFFIXES))}) in its folders {shown}; found none")
    if empty:
        raise Refusal(
            f"{folder / empty[0]}: expected images of the class {empty[0]}; found none; remove the folder, or fill it"
        )
    if len(classes) == 1:
        raise Refusal(f"{folder}: expected at least two class folders; found one, {classes[0]}")


def _hint(folder: Path) -> str:
    """Say so where images lie loose in the folder of classes."""
    loose = sum(child.suffix.lower() in SUFFIXES for child in folder.iterdir())
    return f", but {loose} loose images; sort them into folders" if loose else ""
