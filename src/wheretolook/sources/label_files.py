"""Image files of a table of labels: which file a cell names, class folders, masks of boxes."""

import shutil
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from PIL import ExifTags, Image, ImageDraw

from wheretolook.base.errors import InputError
from wheretolook.images.class_level import class_level
from wheretolook.images.decode import DECODER_ERRORS, FORMATS
from wheretolook.images.scan import Parts, composed, image_paths, scan_classes


class Files:
    """Image files by the ways in which a table may name them.

    Args:
        paths: path relative to the folder of images to the file.
    """

    def __init__(self, paths: Mapping[Parts, Path]) -> None:
        self.paths = paths
        self._named: dict[str, list[Parts]] = defaultdict(list)
        for parts in paths:
            self._named[parts[-1]].append(parts)
            self._named[parts[-1].rpartition(".")[0]].append(parts)

    def find(self, cell: str) -> list[Parts]:
        """The files that a cell may mean: one where it is right.

        The cell has the whole path, its last parts, or more folders before it; the suffix may be missing.
        """
        parts = tuple(part for part in cell.replace("\\", "/").split("/") if part not in ("", "."))
        if not parts:
            return []
        found = []
        for path in self._named.get(parts[-1], ()):
            length = min(len(path), len(parts)) - 1
            if length == 0 or path[:-1][-length:] == parts[:-1][-length:]:
                found.append(path)
        whole = [path for path in found if path[:-1] == parts[:-1]]
        return whole if len(whole) == 1 else found


def classes_of_folders(images: Path, inside: Parts) -> dict[Parts, Parts]:
    """Path below `images` (with its split and class) of each file; empty if the folders are no classes."""
    head = class_level(path.relative_to(images).parts for path in image_paths(images, inside)).head
    try:
        scan = scan_classes(images.joinpath(*head), inside[len(head) :] if inside[: len(head)] == head else ())
    except InputError:
        return {}
    return {composed(file.path.relative_to(images).parts): tuple(file.image_id.split("/")) for file in scan.files}


def mask_of_boxes(path: Path, boxes: Sequence[tuple[float, ...]]) -> Image.Image | None:
    """A mask of an image's size, 255 inside the boxes (left, upper, right, lower); None if one does not fit."""
    try:
        with Image.open(path, formats=FORMATS) as image:
            size = image.size
            turned = image.getexif().get(ExifTags.Base.Orientation, 1) in (5, 6, 7, 8)
    except DECODER_ERRORS:
        return Image.new("L", (1, 1))  # `prepare` reports the image
    width, height = size[::-1] if turned else size
    mask = Image.new("L", (width, height))
    for box in boxes:
        if len(box) != 4:
            return None
        left, upper, right, lower = box
        if not (0 <= left < right <= width and 0 <= upper < lower <= height):
            return None
        # A pixel is inside if its centre is.
        corners = (round(left), round(upper), max(round(left), round(right) - 1), max(round(upper), round(lower) - 1))
        ImageDraw.Draw(mask).rectangle(corners, fill=255)
    return mask


def path_inside(masks: Path | None, images: Path) -> Parts:
    """Path of the masks relative to the images; () if they are not below them."""
    if masks is None or not masks.resolve().is_relative_to(images.resolve()):
        return ()
    return masks.resolve().relative_to(images.resolve()).parts


def put(source: Path, path: Path, move: bool) -> None:
    """Move a file, or copy its content."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if move:
        source.replace(path)
    else:
        shutil.copyfile(source, path)
