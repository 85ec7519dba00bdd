"""Tables of labels (CSV, TSV, CelebA's aligned text, Parquet, COCO's JSON) and the image files that rows name."""

import csv
import io
import json
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import ExifTags, Image, ImageDraw

from wheretolook.base.errors import InputError, is_readable
from wheretolook.images.class_level import class_level
from wheretolook.images.decode import DECODER_ERRORS, FORMATS, SUFFIXES
from wheretolook.images.raw_data import Parts, composed, image_paths
from wheretolook.images.scan import fill_polygon, scan_classes

DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
SPACES = "spaces"
# Byte order marks; UTF-32 is refused as undecodable.
MARKS = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
# Lines from which the delimiter is guessed.
LOOKED_AT = 50
LONGEST_CELL = 1 << 20
COCO = "COCO, polygons or else boxes: RLE masks are not read"


@dataclass(frozen=True)
class LabelTable:
    """A table.

    Attributes:
        name: of its file, for messages.
        columns: distinct names.
        rows: cells by column, stripped and composed (NFC); '' for a missing value.
        odd: lines with more or fewer cells than columns, which are not in `rows`.
        form: how it was read: "utf-8, comma".
    """

    name: str
    columns: tuple[str, ...]
    rows: list[tuple[str, ...]]
    odd: list[str]
    form: str


def read_table(name: str, content: bytes) -> LabelTable:
    """Read one table.

    The first line has the names of the columns, unless its first cell names an image file: then the columns are `path`
    and, for two columns, `split` if the file's name contains "partition" or "split", or else the file's name. A first
    line that is only a number (CelebA's count of rows) is skipped.

    Args:
        name: of the file.
        content: of the file.

    Raises:
        InputError: not a table, no rows, an unknown encoding, columns without or of the same name.
    """
    if content[:4] == b"PAR1":
        return _checked(name, *_parquet(name, content), "Parquet")
    if content[:2] == b"PK" or content[:4] == b"\xd0\xcf\x11\xe0":
        raise InputError(name, "CSV, TSV or Parquet", "a spreadsheet or archive", "save the sheet as CSV (UTF-8)")
    text, encoding = _decoded(name, content)
    if text.lstrip()[:1] in ("{", "["):
        return _checked(name, ["file_name", "category", "bbox"], _coco(name, text), COCO)
    lines = text.splitlines()
    counted = bool(lines) and re.fullmatch(r"\s*\d+\s*", lines[0]) is not None
    if counted and len(lines) > 1:
        text = text.partition("\n")[2]
    delimiter = _delimiter(lines[counted : LOOKED_AT + counted])
    if delimiter == SPACES:
        cells = [line.split() for line in lines[counted:]]
    else:
        csv.field_size_limit(LONGEST_CELL)
        try:
            cells = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=False))
        except csv.Error as error:
            raise InputError(name, "a table of text", f"damaged text ({error})", "save it as CSV again") from error
    filled = [[_clean(cell) for cell in row] for row in cells if any(cell.strip() for cell in row)]
    if not filled:
        raise InputError(name, "a line with the names of the columns, and rows", "an empty file", "check fetch.labels")
    header, rows = _header(name, filled)
    return _checked(name, header, rows, f"{encoding}, {DELIMITERS.get(delimiter, SPACES)}")


def join_tables(tables: Sequence[LabelTable], keys: Sequence[int]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Join tables on their columns of paths.

    Args:
        tables: one or more.
        keys: the column of paths of each.

    Returns:
        Columns and rows: those of the first table, then the other columns of each further one. Where a table lacks a
        path, its cells are ''. Paths that only a further table has come last.

    Raises:
        InputError: a column of one name in two tables, or a path twice in a further one.
    """
    first, key = tables[0], keys[0]
    columns, rows = list(first.columns), [list(row) for row in first.rows]
    for table, own in zip(tables[1:], keys[1:], strict=True):
        others = [place for place in range(len(table.columns)) if place != own]
        both = {table.columns[place] for place in others} & set(columns)
        if both:
            raise InputError(table.name, "columns that no other table has", min(both), "rename it in one of them")
        by_path: dict[str, list[str]] = {}
        for row in table.rows:
            cells = [row[place] for place in others]
            if by_path.setdefault(row[own], cells) != cells:
                raise InputError(table.name, "one row for each image", f"two of {row[own]}", "remove one of them")
        known = {row[key] for row in rows}
        rows += [
            ["" if place != key else path for place in range(len(columns))] for path in by_path if path not in known
        ]
        rows = [row + by_path.get(row[key], [""] * len(others)) for row in rows]
        columns += [table.columns[place] for place in others]
    return tuple(columns), [tuple(row) for row in rows]


def _decoded(name: str, content: bytes) -> tuple[str, str]:
    """Text, and its encoding: by the byte order mark, else UTF-8, else Latin-1."""
    encoding = next((kind for mark, kind in MARKS.items() if content.startswith(mark)), "utf-8")
    found = f"bytes that are not {encoding}"
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        if encoding != "utf-8":
            raise InputError(name, f"text in {encoding}", found, "save it as UTF-8") from error
        text, encoding = content.decode("latin-1"), "latin-1"
    if "\0" in text:
        raise InputError(
            name, "a table of text", "null characters: binary data or another encoding", "save it as UTF-8"
        )
    return text.replace("\r\n", "\n").replace("\r", "\n"), encoding


def _delimiter(lines: Sequence[str]) -> str:
    """The delimiter that gives most lines the same number of cells, more than one; a comma if there is none."""
    best, most = ",", 0
    for delimiter in (*DELIMITERS, SPACES):
        rows = (line.split() for line in lines) if delimiter == SPACES else csv.reader(lines, delimiter=delimiter)
        try:
            counts = Counter(len(row) for row in rows if len(row) > 1)
        except csv.Error:
            continue
        agreeing = max(counts.values(), default=0)
        if agreeing > most:
            best, most = delimiter, agreeing
    return best


def _header(name: str, filled: list[list[str]]) -> tuple[list[str], list[list[str]]]:
    """Names of the columns, and the rows."""
    first, stem = filled[0], name.replace("\\", "/").rpartition("/")[2].rpartition(".")[0] or name
    if any(first[0].lower().endswith(suffix) for suffix in SUFFIXES):
        other = "split" if re.search("partition|split", stem.casefold()) else stem
        names = [other] if len(first) == 2 else [f"column {number}" for number in range(2, len(first) + 1)]
        return ["path", *names], filled
    if len(filled) > 1 and len(filled[1]) == len(first) + 1 and first[0] != "":
        return ["path", *first], filled[1:]  # CelebA names no column of paths
    return first, filled[1:]


def _parquet(name: str, content: bytes) -> tuple[list[str], list[list[str]]]:
    try:
        import pyarrow.parquet
    except ModuleNotFoundError:
        raise InputError(
            name, "a table in CSV", "Parquet, without pyarrow", "save it as CSV, or install pyarrow"
        ) from None
    try:
        table = pyarrow.parquet.read_table(io.BytesIO(content))
    except Exception as error:  # pyarrow has many kinds, some of them without a common base
        raise InputError(name, "a Parquet file", f"damaged data ({error})", "save it again") from error
    cells = [["" if value is None else _clean(str(value)) for value in column.to_pylist()] for column in table.columns]
    return list(table.column_names), [list(row) for row in zip(*cells, strict=True)]


def _coco(name: str, text: str) -> list[list[str]]:
    """A row for each annotation: file name, category, box; an image without annotations has one without either."""
    try:
        found = json.loads(text)
        files = {image["id"]: str(image["file_name"]) for image in found["images"]}
        categories = {each["id"]: _clean(str(each["name"])) for each in found["categories"]}
        annotated = [
            (each["image_id"], categories[each["category_id"]], _coco_shape(each)) for each in found["annotations"]
        ]
        rows = [[files[image], category, box] for image, category, box in annotated]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        expected = "COCO's JSON: images, categories and annotations that refer to them"
        raise InputError(name, expected, f"other JSON ({error!r})", "save the labels as CSV") from error
    without = files.keys() - {image for image, *_ in annotated}
    return [*rows, *([file, "", ""] for image, file in files.items() if image in without)]


def _coco_shape(annotation: Mapping[str, Any]) -> str:
    """The polygons of an annotation, separated by bars; its box if it has none, or a run-length encoded mask."""
    polygons = annotation.get("segmentation")
    if isinstance(polygons, list) and polygons and all(len(each) >= 6 for each in polygons):
        return " | ".join(", ".join(map(str, each)) for each in polygons)
    return ", ".join(map(str, annotation.get("bbox") or ()))


def _checked(name: str, header: Sequence[str], rows: list[list[str]], form: str) -> LabelTable:
    header = [_clean(column) for column in header]
    if header and not header[0] and header.count("") == 1:
        header[0] = "row"  # the index that pandas writes
    counts = Counter(header)
    odd_name = next((column for column in header if not column or not is_readable(column) or counts[column] > 1), None)
    if odd_name is not None:
        found = f"two of the name {odd_name!r}" if counts[odd_name] > 1 and odd_name else f"the name {odd_name!r}"
        raise InputError(name, "columns with distinct, readable names", found, "name them in the first line")
    if not rows:
        raise InputError(name, "rows below the names of the columns", "none", "check fetch.labels")
    fitting = [tuple(row) for row in rows if len(row) == len(header)]
    odd = [", ".join(row)[:80] for row in rows if len(row) != len(header)]
    return LabelTable(name, tuple(header), fitting, odd, form)


def _clean(cell: str) -> str:
    cell = cell.strip()
    return cell if cell.isascii() else unicodedata.normalize("NFC", cell)


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
    places = [tuple(file.image_id.split("/")) for file in scan.files]
    return {(*composed(head), *place): place for place in places}


def mask_of_boxes(path: Path, boxes: Sequence[tuple[float, ...]]) -> Image.Image | None:
    """A mask, 255 inside boxes (left, upper, right, lower) and polygons (x, y, x, y, ...); None if one does not fit."""
    try:
        with Image.open(path, formats=FORMATS) as image:
            size = image.size
            turned = image.getexif().get(ExifTags.Base.Orientation, 1) in (5, 6, 7, 8)
    except DECODER_ERRORS:
        return Image.new("L", (1, 1))  # `prepare` reports the image
    width, height = size[::-1] if turned else size
    mask = Image.new("L", (width, height))
    for box in boxes:
        corners = np.reshape(box, (-1, 2))  # () for one that could not be read
        if not len(corners) or not ((corners >= 0) & (corners <= (width, height))).all():
            return None
        if len(corners) > 2:
            pixels = np.array(mask)
            fill_polygon(pixels, corners, 255)
            mask = Image.fromarray(pixels)
            continue
        left, upper, right, lower = box
        if not (left < right and upper < lower):
            return None
        edges = (round(left), round(upper), max(round(left), round(right) - 1), max(round(upper), round(lower) - 1))
        ImageDraw.Draw(mask).rectangle(edges, fill=255)
    return mask
