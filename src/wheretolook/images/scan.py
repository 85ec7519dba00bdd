"""The image files of a folder with one folder for each class, and the masks that belong to them."""

import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from wheretolook.base.display import is_readable, readable
from wheretolook.base.errors import InputError
from wheretolook.base.files import is_junk
from wheretolook.images.class_level import split_folders
from wheretolook.images.decode import SUFFIXES

Parts = tuple[str, ...]


@dataclass(frozen=True)
class ImageFile:
    """One image of a class folder."""

    image_id: str  # its path below the folder of classes or of splits, with slashes; composed (NFC)
    class_name: str
    path: Path
    split: str = ""  # "train", "val" or "test" where a folder says so

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

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits that the folders say, sorted; () where they are class folders."""
        return tuple(sorted({file.split for file in self.files} - {""}))


@dataclass(frozen=True)
class Masks:
    """Which masks belong to which images, and what is left over."""

    paths: dict[str, Path]  # by image_id
    unused: tuple[str, ...]  # masks of no image: their paths below the folder of masks, sorted
    without: tuple[str, ...]  # image_id of those that have none, where others of their class have one; sorted


def scan_classes(folder: Path, without: Parts = (), parameter: str = "fetch.path") -> Scan:
    """Find the images of each class, in subfolders too, and the split of each where folders of splits hold the classes.

    Args:
        folder: holds one folder of images for each class, or folders named train, val and test that hold those.
        without: the path of a folder in it that is passed over, whatever it holds; () for none.
        parameter: that names the folder, for messages.

    Raises:
        InputError: no folder, fewer than two class folders, one without an image, a name with a control or invisible
            character, a pipe or device named as an image, two files of one name, or folders of splits that are no
            official split (`split_folders`).
    """
    if not folder.is_dir():
        raise InputError(folder, expected="a folder with one folder of images for each class", found="no folder")
    named = (child.name for child in folder.iterdir() if child.is_dir() and not is_junk([child.name]))
    tops = sorted(name for name in named if without != (name,))
    if not tops:
        raise InputError(
            folder, expected="one folder of images for each class", found=f"no folder in it{_hint(folder)}"
        )
    images: dict[Parts, Path] = {}
    others: dict[Parts, Path] = {}
    for top in tops:
        _check_name(top)
        for path in sorted((folder / top).rglob("*")):
            parts = path.relative_to(folder).parts
            if is_junk(parts) or _is_below(parts, without) or not _is_file(path):
                continue
            _check_name("/".join(parts))
            kind = images if path.suffix.lower() in SUFFIXES else others
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
    ignored = sorted("/".join(parts) for parts in others if not splits or parts[0] in splits)
    if not splits:
        # A folder that holds nothing but the one to pass over is no class.
        counts = Counter(file.class_name for file in files)
        names = [name for (name,) in map(composed, ((top,) for top in tops))]
        classes = sorted({name for name in names if counts[name] or name not in without[:1]})
        _check_classes(folder, classes, counts, others)
    else:
        check_kinds([parts for parts in others if parts[0] in splits], images, 1, str(folder))
    if splits and len({file.class_name for file in files}) < 2:
        raise InputError(folder, expected="at least two class folders", found=f"one, {files[0].class_name}")
    return Scan(tuple(sorted(files, key=lambda file: file.image_id)), tuple(ignored))


def composed(parts: Sequence[str]) -> Parts:
    """The names in composed form (NFC): systems differ in the one that they keep, and both are one name."""
    # Most names are ASCII, which has one form.
    return tuple(part if part.isascii() else unicodedata.normalize("NFC", part) for part in parts)


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
        InputError: two masks for one image, or fewer than half of the masks fit an image.
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
            raise InputError(path, expected="one mask for each image", hint=f"{other} stands beside it; remove one")
        names[key] = name
    paths = {file.image_id: folder / names[file.mask_key] for file in scan.files if file.mask_key in names}
    keys = {file.mask_key for file in scan.files}
    masked = {file.class_name for file in scan.files if file.mask_key in names}
    unused = tuple(name for key, name in names.items() if key not in keys)
    if 2 * len(unused) > len(names):
        raise InputError(_misnamed(called or str(folder), scan, paths, unused, len(names)))
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
        raise InputError(
            path,
            expected="an image",
            found=f"a link to {path.readlink()}, which is not there",
            hint="bring that, or remove the link",
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
        raise InputError(
            f"{name!a}", expected="a file name in UTF-8", found="other bytes", hint="rename the file"
        ) from None
    if not is_readable(name):
        hidden = readable(name)
        raise InputError(
            ascii(name),
            expected="a name without control characters and invisible ones",
            found=f"one (? in {hidden!r})",
            hint="rename the file or folder",
        )


def _check_classes(folder: Path, classes: list[str], counts: Counter[str], others: Collection[Parts]) -> None:
    """Refuse what no classifier can be trained on."""
    empty = [name for name in classes if not counts[name]]
    if not counts:
        shown = ", ".join(classes[:5])
        kinds = kinds_found(others)
        raise InputError(folder, expected=f"images ({', '.join(sorted(SUFFIXES))}) in its folders {shown}", found=kinds)
    if empty:
        raise no_images(f"{folder / empty[0]}", empty[0], [parts for parts in others if parts[0] == empty[0]])
    if len(classes) == 1:
        raise InputError(folder, expected="at least two class folders", found=f"one, {classes[0]}")


def check_kinds(others: Collection[Parts], images: Iterable[Parts], depth: int, top: str) -> None:
    """Refuse a class folder that holds files, and no image among them.

    Args:
        others: the files that are no images by their suffix.
        images: those that are.
        depth: folders above the class folders: 1 below a split.
        top: the folder that the paths are in, for messages; "" for none.
    """
    filled = {parts[: depth + 1] for parts in images}
    empty = sorted({parts[: depth + 1] for parts in others if len(parts) > depth + 1} - filled)
    if empty:
        within = [parts for parts in others if parts[: depth + 1] == empty[0]]
        raise no_images("/".join(filter(None, (top, *empty[0]))), empty[0][-1], within)


def no_images(path: str, name: str, others: Collection[Parts]) -> InputError:
    """The error of a class folder without an image, with the kinds of the files that it holds instead."""
    return InputError(
        path,
        expected=f"images of the class {name} ({', '.join(sorted(SUFFIXES))})",
        found=kinds_found(others),
        hint="convert them to PNG (or add the suffix that they lack), or remove the folder"
        if others
        else "remove the folder, or fill it",
    )


def kinds_found(others: Collection[Parts]) -> str:
    """How many files there are of each kind that is not read, the most frequent first: "12 .pgm"; "none" of none."""
    kinds = Counter(PurePosixPath(parts[-1]).suffix.lower() or "without a suffix" for parts in others)
    return ", ".join(f"{count} {kind}" for kind, count in kinds.most_common(3)) or "none"


def _hint(folder: Path) -> str:
    """Say so where images lie loose in the folder of classes."""
    loose = sum(child.suffix.lower() in SUFFIXES for child in folder.iterdir())
    return f", but {loose} loose images; sort them into folders" if loose else ""
