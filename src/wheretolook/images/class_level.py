"""Folders named train, val and test above the class folders: an official split, which is kept as it is."""

import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

from wheretolook.base.errors import InputError
from wheretolook.images.decode import SUFFIXES

Parts = tuple[str, ...]

# In lower case: what a folder may be called, and the split that it is.
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
REMEDY = "or move them away"


def split_of(name: str) -> str:
    """The split that a folder's name stands for; '' for none."""
    return SPLIT_FOLDERS.get(name.strip().casefold(), "")


def split_folders(images: Iterable[Parts], top: str, parameter: str) -> dict[str, str]:
    """Which folders are splits that hold the class folders.

    Args:
        images: the path of each image, below the folder that holds the splits or the class folders.
        top: that folder, for messages.
        parameter: that names it, for messages: "fetch.path".

    Returns:
        The split ("train", "val" or "test") of each such folder; none where the folders are classes.

    Raises:
        InputError: a split beside class folders or loose images, one without class folders, two of one kind, none to
            train on; or a class that train lacks, perhaps since it is spelled in another way there.
    """
    loose, own, inside = 0, defaultdict(int), defaultdict(set)
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
    """The splits that are drawn from train, since no folder holds them."""
    present = set(official)
    return tuple(split for split in ("val", "test") if split not in present)


def _check_beside(splits: dict[str, str], names: Sequence[str], loose: int, top: str, parameter: str) -> None:
    """Refuse what is neither in a split nor a split."""
    found = ", ".join(_path(top, name) for name in splits)
    beside = [name for name in names if name not in splits]
    if beside:
        others = ", ".join(_path(top, name) for name in beside[:5])
        raise InputError(
            top,
            expected="either folders of splits (train, val, test) or class folders",
            found=f"the splits {found} beside {others}",
            hint=f"set `{parameter}` to one of them, {REMEDY}",
        )
    if loose:
        raise InputError(
            top,
            expected="folders of splits alone",
            found=f"{loose} loose images beside {found}",
            hint="sort them into the class folders of a split, or remove them",
        )


def _check_inside(splits: dict[str, str], own: dict, inside: dict, top: str, parameter: str) -> None:
    """Refuse a split whose images are not sorted into class folders."""
    sorted_ones = [name for name in splits if inside[name] and not own[name]]
    for name in splits:
        if own[name]:
            best = next((one for one in sorted_ones if splits[one] == "train"), sorted_ones[0] if sorted_ones else "")
            rest = f"set `{parameter}: {_path(top, best)}`, whose images are then split" if best else "sort its images"
            raise InputError(
                _path(top, name),
                expected=f"one folder of images for each class, since its name is that of a split ({splits[name]})",
                found=f"{own[name]} images that are in no class folder",
                hint=f"{rest}, or sort the images of {name} into class folders",
            )


def _check_kinds(splits: dict[str, str], top: str) -> None:
    """Refuse two folders of one split, and splits without one to train on."""
    by_kind = defaultdict(list)
    for name, kind in splits.items():
        by_kind[kind].append(name)
    for kind, same in by_kind.items():
        if len(same) > 1:
            found = " and ".join(_path(top, name) for name in same)
            raise InputError(top, f"one folder of the split {kind}", found, "merge them, or rename one")
    if "train" not in by_kind:
        found = ", ".join(_path(top, name) for name in splits)
        raise InputError(top, "a split to train on", found, "rename one of them to train")


def _check_classes(splits: dict[str, str], classes: dict[str, list[str]], top: str, parameter: str) -> None:
    """Refuse a class that cannot be learned, since train lacks it."""
    train = next(name for name, kind in splits.items() if kind == "train")
    for name in splits:
        missing = next((one for one in classes[name] if one not in classes[train]), None)
        if missing is None:
            continue
        alike = next((one for one in classes[train] if _folded(one) == _folded(missing)), None)
        rest = f"set `{parameter}: {_path(top, train)}`, whose images are then split"
        raise InputError(
            _path(top, name),
            expected=f"the classes of {_path(top, train)} ({', '.join(classes[train][:12])})",
            found=f"the class {missing!r}" + (f" in place of {alike!r}" if alike else f", which {train} lacks"),
            hint=f"rename it to {alike!r}, or {rest}" if alike else f"remove it, or {rest}",
        )


def _folded(name: str) -> str:
    """The same for names that differ by case, width or spaces alone."""
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


def _path(top: str, name: str) -> str:
    return f"{top}/{name}" if top not in ("", ".") else name


MASK_WORDS = ("mask", "label", "annotation", "segmentation", "ground_truth", "groundtruth")


@dataclass(frozen=True)
class ClassLevel:
    """The folder that should hold one folder of images for each class.

    Attributes:
        head: its path, below the folder whose files were given; () for that folder itself.
        nested: folders in it that hold no image themselves but folders of images, and the names of those; sorted.
    """

    head: Parts
    nested: dict[str, frozenset[str]]


def class_level(files: Iterable[Parts]) -> ClassLevel:
    """Go down as long as there is one folder only, and it holds no image itself but folders of images.

    Args:
        files: paths below a folder; files that are no images have no say.
    """
    images = [parts for parts in files if "." in parts[-1] and f".{parts[-1].rpartition('.')[2].lower()}" in SUFFIXES]
    head: Parts = ()
    while True:
        below = [parts for parts in images if len(parts) > 1]
        inside: dict[str, set[str]] = defaultdict(set)
        for parts in below:
            inside[parts[0]].add(parts[1])
        folders = sorted(inside.keys() - {parts[0] for parts in below if len(parts) == 2})
        # Loose images beside a split are an error, and none in the folder above the classes.
        split = bool(folders) and len(below) < len(images) and split_of(folders[0])
        if not folders or len(inside) > 1 or split:
            return ClassLevel(head, {name: frozenset(inside[name]) for name in folders})
        head, images = (*head, folders[0]), [parts[1:] for parts in below]


def refuse_nested(level: ClassLevel, above: Parts) -> None:
    """Refuse an archive in which it isn't clear which folder holds the class folders.

    Args:
        level: what was found in it.
        above: the folder inside the archive whose files were given.

    Raises:
        InputError: a folder holds folders of images; with the values of `root` and `masks` to choose from.
    """
    if not level.nested:
        return
    place = (*above, *level.head)
    paths = ["/".join((*place, name)) for name in level.nested]
    raise InputError(
        f"expected one folder of images for each class, found folders of such folders: {shown(paths)}",
        hint=(
            f"{choice('fetch.root', paths)}; if they are the classes themselves, `fetch.root: {'/'.join(place) or '.'}`"
        ),
    )


def choice(parameter: str, paths: Sequence[str]) -> str:
    """What to set in params.yaml where several folders could hold the class folders: for a message.

    Args:
        parameter: that names the folder of the images.
        paths: the folders; those that are called as folders of masks are taken for `fetch.masks`.
    """
    masks = [path for path in paths if any(word in path.rpartition("/")[2].lower() for word in MASK_WORDS)]
    images = [path for path in paths if path not in masks]
    text = f"set `{parameter}: {images[0]}`" if len(images) == 1 else f"set `{parameter}` to one of these"
    return text + (f" and `fetch.masks: {masks[0]}`" if len(masks) == 1 and images else "")


def same_inside(level: ClassLevel) -> list[str]:
    """The nested folders of which another holds two or more folders of the same names: no classes, but sets of them."""
    pairs = combinations(level.nested, 2)
    return sorted({name for pair in pairs if len(level.nested[pair[0]] & level.nested[pair[1]]) > 1 for name in pair})


def sorted_beside_flat(images: Iterable[Parts], level: ClassLevel) -> list[str]:
    """Folders that hold class folders, beside others that hold images: ["photos"] of photos/{oak,elm}/ and figures/.

    A folder whose own folders are merely numbered (2020 and 2021, slide 1 and slide 2) holds one class in parts.

    Args:
        images: below the folder that `level` found.
        level: what was found.
    """
    flat = {parts[0] for parts in images if len(parts) > 1} - level.nested.keys()
    return [name for name, inside in level.nested.items() if flat and len({_letters(one) for one in inside}) > 1]


def _letters(name: str) -> str:
    return "".join(character for character in name.casefold() if character.isalpha())


def shown(paths: Sequence[str]) -> str:
    """The first of them, as a message shows them."""
    return ", ".join(paths[:12]) + (", …" if len(paths) > 12 else "")
