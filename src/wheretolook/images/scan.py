"""List the images of class folders, and find the mask of each."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from wheretolook.base.errors import InputError, is_readable, readable
from wheretolook.base.files import is_junk
from wheretolook.images.class_level import split_folders
from wheretolook.images.decode import SUFFIXES
from wheretolook.images.raw_data import Parts, RawFile, composed, has_image_suffix, packed_files, walk

YOLO = ".txt"
ADD_CLASS = "add a folder with images of another class"


@dataclass(frozen=True, slots=True)
class ImageFile:
    """One image of a class folder."""

    image_id: str  # path relative to the folder of classes or splits, with slashes, composed (NFC)
    class_name: str
    path: RawFile
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

    paths: dict[str, RawFile]  # by image_id
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
    loose = [(child.name,) for child in folder.iterdir() if has_image_suffix(child.name) and child.is_file()]
    if not tops:
        raise InputError(
            folder,
            expected="one folder of images for each class",
            found=f"no folder{f', but {len(loose)} loose images' if loose else ''}",
            hint="sort the images into one folder for each class",
        )
    images: dict[Parts, RawFile] = {}
    other_files: dict[Parts, RawFile] = {}
    for top in tops:
        _check_name(top)
    for original, path in walk(folder, without):
        if len(original) == 1:
            continue
        _check_name("/".join(original))
        kind = images if has_image_suffix(original[-1]) else other_files
        parts = composed(original)
        if parts in kind and kind is images:
            raise InputError(path, "one file of each name", f"another at {kind[parts]}", "rename one of them")
        kind[parts] = Path(path)
    return _scan(images, other_files, loose, tops, folder, without, parameter)


def scan_raw(raw: Path) -> Scan:
    """List the images that `fetch` wrote, in folders or packed.

    Raises:
        InputError: as `scan_classes`; a damaged zip file.
    """
    packed = packed_files(raw, "images")
    if not packed:
        return scan_classes(raw / "images")
    images: dict[Parts, RawFile] = {tuple(name.split("/")): file for name, file in packed.items()}
    return _scan(images, {}, [], sorted({parts[0] for parts in images}), raw, (), "fetch.path")


def _scan(
    images: Mapping[Parts, RawFile],
    other_files: Mapping[Parts, RawFile],
    loose: Sequence[Parts],
    tops: Sequence[str],
    folder: Path,
    without: Parts,
    parameter: str,
) -> Scan:
    """The class and split of each image, checked."""
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


def find_masks(folder: Path, scan: Scan, called: str = "") -> Masks:
    """Find the mask of each image: the file with the same path and any image suffix, or a text file of YOLO.

    Args:
        folder: the folder of masks. If it does not exist, there are no masks.
        scan: the images.
        called: name of the folder in messages; '' for its path.

    Raises:
        InputError: two masks for one image, or more than half of the masks belong to no image.
    """
    if not folder.is_dir():
        return Masks({}, (), ())
    keys = {file.mask_key for file in scan.files}
    named: dict[str, RawFile] = {
        "/".join(parts): Path(path)
        for parts, path in walk(folder)
        if has_image_suffix(parts[-1])
        # Other text files are no masks.
        or (parts[-1].endswith(YOLO) and "/".join(composed(parts)).removesuffix(YOLO) in keys)
    }
    return _matched(named, scan, called or str(folder))


def find_raw_masks(raw: Path, scan: Scan, called: str = "") -> Masks:
    """As `find_masks`, for the masks that `fetch` wrote, in folders or packed."""
    packed = packed_files(raw, "masks")
    return _matched(packed, scan, called or str(raw / "masks")) if packed else find_masks(raw / "masks", scan, called)


def _matched(files: Mapping[str, RawFile], scan: Scan, called: str) -> Masks:
    """The mask of each image, of files by their path relative to the folder of masks."""
    names: dict[str, str] = {}
    for name in files:
        _check_name(name)
        key = "/".join(composed(name.split("/"))).rpartition(".")[0]
        if key in names:
            other = PurePosixPath(names[key]).name
            raise InputError(files[name], "one mask for each image", f"{other} beside it", "remove one of them")
        names[key] = name
    paths = {file.image_id: files[names[file.mask_key]] for file in scan.files if file.mask_key in names}
    keys = {file.mask_key for file in scan.files}
    masked = {file.class_name for file in scan.files if file.mask_key in names}
    unused = tuple(name for key, name in names.items() if key not in keys)
    if 2 * len(unused) > len(names):
        raise _misnamed(called, scan, paths, unused, len(names))
    without = tuple(file.image_id for file in scan.files if file.class_name in masked and file.image_id not in paths)
    return Masks(paths, unused, without)


def _misnamed(called: str, scan: Scan, paths: Mapping[str, RawFile], unused: Sequence[str], count: int) -> InputError:
    """Error for masks most of which belong to no image, with an example of an image and a mask of one class."""
    bare = [file.mask_key for file in scan.files if file.image_id not in paths] or [scan.files[0].mask_key]
    near = next((key for key in bare if key.partition("/")[0] == unused[0].partition("/")[0]), bare[0])
    return InputError(
        called,
        expected=f"masks with the paths of their images, such as {near}.png",
        found=f"{len(unused)} of {count} masks that belong to no image, such as {unused[0]}",
        hint="rename the masks like their images, or remove those without an image",
    )


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


def path_inside(masks: Path | None, images: Path) -> Parts:
    """Path of the masks relative to the images; () if they are not below them."""
    if masks is None or not masks.resolve().is_relative_to(images.resolve()):
        return ()
    return masks.resolve().relative_to(images.resolve()).parts


def fill_polygon(mask: np.ndarray, corners: np.ndarray, value: int) -> None:
    """Set the pixels of a mask (H, W) whose centres are inside a polygon (even-odd rule).

    Args:
        mask: changed in place.
        corners: (K, 2), x and y of each in pixels; (0, 0) is the upper left corner of the first pixel.
        value: for the pixels inside.
    """
    x, y = corners.T
    next_x, next_y = np.roll(x, -1), np.roll(y, -1)
    first, last = np.clip([np.floor(y.min()), np.ceil(y.max())], 0, len(mask)).astype(int)
    for row in range(first, last):
        crossed = (y <= row + 0.5) != (next_y <= row + 0.5)
        slope = (next_x[crossed] - x[crossed]) / (next_y[crossed] - y[crossed])
        ends = np.ceil(np.sort(x[crossed] + (row + 0.5 - y[crossed]) * slope) - 0.5).clip(0, mask.shape[1])
        for begin, end in ends.astype(int).reshape(-1, 2):
            mask[row, begin:end] = value
