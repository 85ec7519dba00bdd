"""Find the class folders of a data set, and the split folders (train, val, test) above them, if any."""

import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

from wheretolook.base.errors import InputError
from wheretolook.images.decode import SUFFIXES

Parts = tuple[str, ...]

# Folder names, in lower case, and their split.
SPLIT_FOLDERS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "dev": "val",
    "test": "test",
    "testing": "test",
}


def split_of(name: str) -> str:
    """The split that a folder's name denotes; '' for none."""
    return SPLIT_FOLDERS.get(name.strip().casefold(), "")


def split_folders(images: Iterable[Parts], top: str, parameter: str) -> dict[str, str]:
    """Find the split folders that hold the class folders.

    Args:
        images: path of each image, relative to the folder that holds the split folders or class folders.
        top: that folder, for messages.
        parameter: the parameter that sets it, for messages: "fetch.path".

    Returns:
        Folder name to split ("train", "val" or "test"); empty if the folders are classes.

    Raises:
        InputError: a split folder beside class folders or loose images, one without class folders, two for one split,
            no training split, or a class that is not in the training split (a different spelling is pointed out).
    """
    loose = 0
    own: dict[str, int] = defaultdict(int)
    inside: dict[str, set[str]] = defaultdict(set)
    for parts in images:
        if len(parts) == 1:
            loose += 1
        elif len(parts) == 2:
            own[parts[0]] += 1
        else:
            inside[parts[0]].add(parts[1])
    names = sorted({*own, *inside})
    splits = {name: split_of(name) for name in names if split_of(name)}
    nested = [name for name in splits if inside[name] and not own[name]]
    flat = len(names) > 1 and len(splits) == len(names)
    if not (nested and (len(names) > 1 or loose)) and not flat:
        return {}
    _check_beside(splits, names, loose, top, parameter)
    _check_inside(splits, own, inside, top, parameter)
    _check_kinds(splits, top)
    classes = {name: sorted(inside[name]) for name in splits}
    _check_classes(splits, classes, top, parameter)
    return splits


def drawn_splits(official: Iterable[str]) -> tuple[str, ...]:
    """The splits that have no folder, and are drawn from train."""
    present = set(official)
    return tuple(split for split in ("val", "test") if split not in present)


def _check_beside(splits: dict[str, str], names: Sequence[str], loose: int, top: str, parameter: str) -> None:
    """Raise InputError for images outside of the split folders."""
    folders = ", ".join(_path(top, name) for name in splits)
    beside = [name for name in names if name not in splits]
    if beside:
        others = ", ".join(_path(top, name) for name in beside[:5])
        raise InputError(
            top,
            expected="either folders of splits (train, val, test) or class folders",
            found=f"the splits {folders} beside {others}",
            hint=f"set `{parameter}` to one of them, or move the other folders away",
        )
    if loose:
        raise InputError(
            top,
            expected="only split folders",
            found=f"{loose} loose images beside {folders}",
            hint="move them into the class folders of a split, or remove them",
        )


def _check_inside(
    splits: dict[str, str], own: dict[str, int], inside: dict[str, set[str]], top: str, parameter: str
) -> None:
    """Raise InputError for a split folder with images outside of class folders."""
    sorted_ones = [name for name in splits if inside[name] and not own[name]]
    for name in splits:
        if own[name]:
            best = next((one for one in sorted_ones if splits[one] == "train"), sorted_ones[0] if sorted_ones else "")
            rest = f"set `{parameter}: {_path(top, best)}` to split only its images, or " if best else ""
            raise InputError(
                _path(top, name),
                expected=f"one folder of images for each class in the split {splits[name]}",
                found=f"{own[name]} images in no class folder",
                hint=f"{rest}sort the images of {name} into class folders",
            )


def _check_kinds(splits: dict[str, str], top: str) -> None:
    """Raise InputError for two folders of one split, and if there is no training split."""
    by_kind = defaultdict(list)
    for name, kind in splits.items():
        by_kind[kind].append(name)
    for kind, same in by_kind.items():
        if len(same) > 1:
            folders = " and ".join(_path(top, name) for name in same)
            raise InputError(top, f"one folder for the split {kind}", folders, "merge them, or rename one")
    if "train" not in by_kind:
        folders = ", ".join(_path(top, name) for name in splits)
        raise InputError(top, "a folder for the split train", folders, "rename one of them to train")


def _check_classes(splits: dict[str, str], classes: dict[str, list[str]], top: str, parameter: str) -> None:
    """Raise InputError for a class that is not in the training split."""
    train = next(name for name, kind in splits.items() if kind == "train")
    for name in splits:
        missing = next((one for one in classes[name] if one not in classes[train]), None)
        if missing is None:
            continue
        alike = next((one for one in classes[train] if _folded(one) == _folded(missing)), None)
        rest = f"set `{parameter}: {_path(top, train)}` to split only its images"
        raise InputError(
            _path(top, name),
            expected=f"the classes of {_path(top, train)} ({', '.join(classes[train][:12])})",
            found=f"the class {missing!r}" + (f" in place of {alike!r}" if alike else f", which is not in {train}"),
            hint=f"rename it to {alike!r}, or {rest}" if alike else f"remove it, or {rest}",
        )


def _folded(name: str) -> str:
    """Equal for names that differ only in case, character width or spaces."""
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


def _path(top: str, name: str) -> str:
    return f"{top}/{name}" if top not in ("", ".") else name


MASK_WORDS = ("mask", "label", "annotation", "segmentation", "ground_truth", "groundtruth")


@dataclass(frozen=True)
class ClassLevel:
    """The folder that holds one folder of images for each class, as far as the paths show.

    Attributes:
        head: its path relative to the given folder; () for that folder itself.
        nested: folders in it that directly contain no image but folders of images, sorted, and the names of those.
    """

    head: Parts
    nested: dict[str, frozenset[str]]


def class_level(files: Iterable[Parts]) -> ClassLevel:
    """Descend while there is only one folder, and it directly contains no image but folders of images.

    Args:
        files: paths below a folder. Files without an image suffix are ignored.
    """
    images = [parts for parts in files if "." in parts[-1] and f".{parts[-1].rpartition('.')[2].lower()}" in SUFFIXES]
    head: Parts = ()
    while True:
        below = [parts for parts in images if len(parts) > 1]
        inside: dict[str, set[str]] = defaultdict(set)
        for parts in below:
            inside[parts[0]].add(parts[1])
        folders = sorted(inside.keys() - {parts[0] for parts in below if len(parts) == 2})
        # Do not descend into a single split folder beside loose images: split_folders reports those.
        split = bool(folders) and len(below) < len(images) and split_of(folders[0])
        if not folders or len(inside) > 1 or split:
            return ClassLevel(head, {name: frozenset(inside[name]) for name in folders})
        head, images = (*head, folders[0]), [parts[1:] for parts in below]


def refuse_nested(level: ClassLevel, above: Parts, subject: str) -> None:
    """Check that an archive's class folders directly contain images.

    Args:
        level: of the archive's images.
        above: path in the archive of the folder whose files were given to `class_level`.
        subject: the archive, for the error.

    Raises:
        InputError: some folders hold folders of images. The hint lists the possible values of `root` and `masks`.
    """
    if not level.nested:
        return
    place = (*above, *level.head)
    paths = ["/".join((*place, name)) for name in level.nested]
    raise InputError(
        subject,
        expected="one folder of images for each class",
        found=f"folders of folders: {shown(paths)}",
        hint=f"{choice('fetch.root', paths)}; if they are the classes, set `fetch.root: {'/'.join(place) or '.'}`",
    )


def choice(parameter: str, paths: Sequence[str]) -> str:
    """Hint on what to set in params.yaml if several folders may hold the class folders.

    Args:
        parameter: the parameter that sets the folder of images.
        paths: the folders. Those named like masks are suggested for `fetch.masks`.
    """
    masks = [path for path in paths if any(word in path.rpartition("/")[2].lower() for word in MASK_WORDS)]
    images = [path for path in paths if path not in masks]
    text = f"set `{parameter}: {images[0]}`" if len(images) == 1 else f"set `{parameter}` to one of these"
    return text + (f" and `fetch.masks: {masks[0]}`" if len(masks) == 1 and images else "")


def same_inside(level: ClassLevel) -> list[str]:
    """Nested folders that share two or more inner folder names with another one: they hold class folders."""
    pairs = combinations(level.nested, 2)
    return sorted({name for pair in pairs if len(level.nested[pair[0]] & level.nested[pair[1]]) > 1 for name in pair})


def sorted_beside_flat(images: Iterable[Parts], level: ClassLevel) -> list[str]:
    """Folders of class folders beside folders of images: ["photos"] for photos/oak/, photos/elm/ and figures/.

    A folder whose inner folders differ only in digits (2020 and 2021, slide 1 and slide 2) is a class in several parts.

    Args:
        images: paths relative to the folder that `level` describes.
        level: as from `class_level`.
    """
    flat = {parts[0] for parts in images if len(parts) > 1} - level.nested.keys()
    return [name for name, inside in level.nested.items() if flat and len({_letters(one) for one in inside}) > 1]


def _letters(name: str) -> str:
    return "".join(character for character in name.casefold() if character.isalpha())


def shown(paths: Sequence[str]) -> str:
    """The first 12 paths, for a message."""
    return ", ".join(paths[:12]) + (", …" if len(paths) > 12 else "")
