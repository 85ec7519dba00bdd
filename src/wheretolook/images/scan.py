"""List the images of class folders, and find the mask of each."""

import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from wheretolook.base.errors import InputError, is_readable, readable
from wheretolook.base.files import is_junk
from wheretolook.images.class_level import split_folders
from wheretolook.images.decode import SUFFIXES

Parts = tuple[str, ...]
ADD_CLASS = "add a folder with images of another class"


@dataclass(frozen=True)
class ImageFile:
    """One image of a class folder."""

    image_id: str  # path relative to the folder of classes or splits, with slashes, composed (NFC)
    class_name: str
    path: Path
    split: str = ""  # "train", "val" or "test" for an official split

    @property
    def mask_key(self) -> str:
        """Path without the suffix, which a mask shares with its image."""
        return self.image_id.rpartition(".")[0]


@dataclass(frozen=True)
class Scan:
    """The files in a folder of class folders."""

    files: tuple[ImageFile, ...]  # sorted by image_id
    ignored: tuple[str, ...]  # other files except system files, sorted

    @property
    def class_names(self) -> tuple[str, ...]:
        """Sorted; the position of a name is its class index."""
        return tuple(sorted({file.class_name for file in self.files}))

    @property
    def splits(self) -> tuple[str, ...]:
        """The official splits, sorted; () if there are none."""
        return tuple(sorted({file.split for file in self.files} - {""}))


@dataclass(frozen=True)
class Masks:
    """The mask of each image."""

    paths: dict[str, Path]  # by image_id
    unused: tuple[str, ...]  # paths of masks that belong to no image, sorted
    without: tuple[str, ...]  # image_id of images without a mask in classes that have masks, sorted


def scan_classes(folder: Path, without: Parts = (), parameter: str = "fetch.path") -> Scan:
    """List the images of each class, including subfolders, and the official split of each image.

    Args:
        folder: holds one folder of images for each class, or split folders (train, val, test) that hold those.
        without: path relative to `folder` of a folder to skip; () for none.
        parameter: the parameter that sets `folder`, for messages.

    Raises:
        InputError: no folder, fewer than two class folders, one without an image, a name with a control or invisible
            character, a pipe or device with an image suffix, two files of one name, or split folders that cannot be
            used (`split_folders`).
    """
    if not folder.is_dir():
        raise InputError(folder, "a folder with one folder of images for each class", "no folder", f"check {parameter}")
    named = (child.name for child in folder.iterdir() if child.is_dir() and not is_junk([child.name]))
    tops = sorted(name for name in named if without != (name,))
    if not tops:
        count = sum(child.suffix.lower() in SUFFIXES for child in folder.iterdir())
        raise InputError(
            folder,
            expected="one folder of images for each class",
            found=f"no folder{f', but {count} loose images' if count else ''}",
            hint="sort the images into one folder for each class",
        )
    images: dict[Parts, Path] = {}
    other_files: dict[Parts, Path] = {}
    for top in tops:
        _check_name(top)
        for path in sorted((folder / top).rglob("*")):
            parts = path.relative_to(folder).parts
            if is_junk(parts) or _is_below(parts, without) or not _is_file(path):
                continue
            _check_name("/".join(parts))
            kind = images if path.suffix.lower() in SUFFIXES else other_files
            parts = composed(parts)
            if parts in kind and kind is images:
                raise InputError(str(path), "one file of each name", f"another at {kind[parts]}", "rename one of them")
            kind[parts] = path
    loose = [(child.name,) for child in folder.iterdir() if child.suffix.lower() in SUFFIXES and child.is_file()]
    splits = split_folders([*images, *loose], str(folder), parameter)
    files = [
        ImageFile("/".join(parts), parts[1 if splits else 0], path, splits.get(parts[0], ""))
        for parts, path in images.items()
    ]
    ignored = sorted("/".join(parts) for parts in other_files if not splits or parts[0] in splits)
    if not splits:
        # A folder that contains only the skipped folder is no class.
        counts = Counter(file.class_name for file in files)
        names = [name for (name,) in map(composed, ((top,) for top in tops))]
        classes = sorted({name for name in names if counts[name] or name not in without[:1]})
        _check_classes(folder, classes, counts, other_files)
    else:
        check_kinds([parts for parts in other_files if parts[0] in splits], images, 1, str(folder))
    if splits and len({file.class_name for file in files}) < 2:
        raise InputError(folder, "at least two class folders", f"one, {files[0].class_name}", ADD_CLASS)
    return Scan(tuple(sorted(files, key=lambda file: file.image_id)), tuple(ignored))


def composed(parts: Sequence[str]) -> Parts:
    """The names in composed form (NFC), since file systems differ in the form that they store."""
    # ASCII names have one form only.
    return tuple(part if part.isascii() else unicodedata.normalize("NFC", part) for part in parts)


def image_paths(folder: Path, without: Parts = ()) -> list[Path]:
    """All image files below a folder, sorted, except system files and those below the relative path `without`."""
    # rglob from each child: a class folder may be a link, and rglob follows no links further down.
    below = sorted(path for child in folder.iterdir() for path in (child, *child.rglob("*")))
    inside = ((path, path.relative_to(folder).parts) for path in below if path.suffix.lower() in SUFFIXES)
    return [path for path, parts in inside if not is_junk(parts) and not _is_below(parts, without) and _is_file(path)]


def find_masks(folder: Path, scan: Scan, called: str = "") -> Masks:
    """Find the mask of each image: the file with the same path and any image suffix.

    Args:
        folder: the folder of masks. If it does not exist, there are no masks.
        scan: the images.
        called: name of the folder in messages; '' for its path.

    Raises:
        InputError: two masks for one image, or more than half of the masks belong to no image.
    """
    if not folder.is_dir():
        return Masks({}, (), ())
    names: dict[str, str] = {}
    for path in image_paths(folder):
        name = path.relative_to(folder).as_posix()
        _check_name(name)
        key = "/".join(composed(name.split("/"))).rpartition(".")[0]
        if key in names:
            other = PurePosixPath(names[key]).name
            raise InputError(path, "one mask for each image", f"{other} beside it", "remove one of them")
        names[key] = name
    paths = {file.image_id: folder / names[file.mask_key] for file in scan.files if file.mask_key in names}
    keys = {file.mask_key for file in scan.files}
    masked = {file.class_name for file in scan.files if file.mask_key in names}
    unused = tuple(name for key, name in names.items() if key not in keys)
    if 2 * len(unused) > len(names):
        raise _misnamed(called or str(folder), scan, paths, unused, len(names))
    without = tuple(file.image_id for file in scan.files if file.class_name in masked and file.image_id not in paths)
    return Masks(paths, unused, without)


def _misnamed(called: str, scan: Scan, paths: dict[str, Path], unused: Sequence[str], count: int) -> InputError:
    """Error for masks most of which belong to no image, with an example of an image and a mask of one class."""
    bare = [file.mask_key for file in scan.files if file.image_id not in paths] or [scan.files[0].mask_key]
    near = next((key for key in bare if key.partition("/")[0] == unused[0].partition("/")[0]), bare[0])
    return InputError(
        called,
        expected=f"masks with the paths of their images, such as {near}.png",
        found=f"{len(unused)} of {count} masks that belong to no image, such as {unused[0]}",
        hint="rename the masks like their images, or remove those without an image",
    )


def _is_file(path: Path) -> bool:
    """Whether a path is a file. A broken link or a device with an image suffix raises InputError."""
    if path.suffix.lower() in SUFFIXES and path.is_symlink() and not path.exists():
        raise InputError(
            path,
            expected="an image",
            found=f"a link to {path.readlink()}, which does not exist",
            hint="restore the file, or remove the link",
        )
    if path.suffix.lower() in SUFFIXES and path.exists() and not (path.is_file() or path.is_dir()):
        raise InputError(path, expected="an image", found="a pipe, a socket or a device", hint="remove it")
    return path.is_file()


def _is_below(parts: Parts, folder: Parts) -> bool:
    return bool(folder) and parts[: len(folder)] == folder


def _check_name(name: str) -> None:
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        raise InputError(ascii(name), "a file name in UTF-8", "other bytes", "rename the file") from None
    if not is_readable(name):
        hidden = readable(name)
        raise InputError(
            ascii(name),
            expected="a name without control characters and invisible characters",
            found=f"{hidden!r}, where ? replaces such a character",
            hint="rename the file or folder",
        )


def _check_classes(folder: Path, classes: list[str], counts: Counter[str], other_files: Collection[Parts]) -> None:
    """Raise InputError unless there are two or more class folders with images."""
    empty = [name for name in classes if not counts[name]]
    if not counts:
        shown = ", ".join(classes[:5])
        kinds = kinds_found(other_files)
        expected = f"images ({', '.join(sorted(SUFFIXES))}) in its folders {shown}"
        raise InputError(folder, expected, kinds, "convert them to PNG" if other_files else "add images")
    if empty:
        raise no_images(f"{folder / empty[0]}", empty[0], [parts for parts in other_files if parts[0] == empty[0]])
    if len(classes) == 1:
        raise InputError(folder, "at least two class folders", f"one, {classes[0]}", ADD_CLASS)


def check_kinds(other_files: Collection[Parts], images: Iterable[Parts], depth: int, top: str) -> None:
    """Raise InputError for a class folder with files but no image.

    Args:
        other_files: paths of the files without an image suffix.
        images: paths of the images.
        depth: number of folders above the class folders: 1 for split folders.
        top: the folder that the paths are relative to, for messages; '' for none.
    """
    filled = {parts[: depth + 1] for parts in images}
    empty = sorted({parts[: depth + 1] for parts in other_files if len(parts) > depth + 1} - filled)
    if empty:
        within = [parts for parts in other_files if parts[: depth + 1] == empty[0]]
        raise no_images("/".join(filter(None, (top, *empty[0]))), empty[0][-1], within)


def no_images(path: str, name: str, other_files: Collection[Parts]) -> InputError:
    """Error for a class folder without an image, with the kinds of its other files."""
    return InputError(
        path,
        expected=f"images of the class {name} ({', '.join(sorted(SUFFIXES))})",
        found=kinds_found(other_files),
        hint="convert them to PNG (or add the missing suffix), or remove the folder"
        if other_files
        else "add images, or remove the folder",
    )


def kinds_found(other_files: Collection[Parts]) -> str:
    """The three most frequent suffixes of unsupported files, with counts: "12 .pgm"; "none" if there are no files."""
    kinds = Counter(PurePosixPath(parts[-1]).suffix.lower() or "without a suffix" for parts in other_files)
    return ", ".join(f"{count} {kind}" for kind, count in kinds.most_common(3)) or "none"
