"""Which folder holds the class folders, where images lie deeper than that: told from the paths alone."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

from wheretolook.data.decode import SUFFIXES
from wheretolook.data.refusal import Refusal
from wheretolook.data.split_folders import split_of

Parts = tuple[str, ...]

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
        Refusal: a folder holds folders of images; with the values of `root` and `masks` to choose from.
    """
    if not level.nested:
        return
    place = (*above, *level.head)
    paths = ["/".join((*place, name)) for name in level.nested]
    raise Refusal(
        f"expected one folder of images for each class, found folders of such folders: {shown(paths)};"
        f" {choice('fetch.root', paths)};"
        f" if they are the classes themselves, `fetch.root: {'/'.join(place) or '.'}`"
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
