"""Which column of a table of labels is what: named in params.yaml, or recognised by its name."""

import math
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from wheretolook.base.errors import InputError
from wheretolook.base.prepared import ValueSplit, read_number, split_by_value
from wheretolook.images.class_level import SPLIT_FOLDERS
from wheretolook.sources.label_table import LabelTable, join_tables

NONE = "none"
NAMES = {  # usual ones, without case, spaces and underscores; the first that a table has is used
    "path": (
        "path", "file", "filename", "filepath", "imagepath", "imagefile", "imagename", "image", "img", "imageid",
        "imageindex", "id",
    ),
    "label": ("label", "class", "target", "labels", "classname", "labelname", "category", "diagnosis", "dx"),
    "split": ("split", "subset", "partition", "set"),
    "group": ("group", "patient", "subject", "patientid", "subjectid", "groupid", "personid", "identity", "slideid"),
    "mask": ("mask", "maskpath", "maskfile", "maskname"),
}  # fmt: skip
# Corners, then corner and size; a single column `bbox` or `box` is corner and size, as in COCO.
CORNERS = (("x0", "y0", "x1", "y1"), ("xmin", "ymin", "xmax", "ymax"), ("left", "top", "right", "bottom"))
SIZES = (("x", "y", "w", "h"), ("x", "y", "width", "height"), ("x1", "y1", "width", "height"))
ONE_BOX = ("bbox", "box", "boundingbox")
SPLIT_NAMES = {"0": "train", "1": "val", "2": "test", **SPLIT_FOLDERS}  # CelebA writes 0, 1 and 2
BINARY = {"1": "1", "1.0": "1", "true": "1", "yes": "1", "0": "0", "0.0": "0", "false": "0", "no": "0"}
MINUS = ("-1", "-1.0")


@dataclass(frozen=True)
class LabelOptions:
    """Options of a table of labels; '' recognises a column by its name, "none" uses none."""

    labels: str
    path_column: str = ""
    label_column: str = ""
    split_column: str = ""
    group_column: str = ""
    mask_column: str = ""
    box_columns: str = ""
    attributes: str = ""
    multi_labels: str = ""
    value_column: str = ""
    value_threshold: float | None = None
    on_bad_row: str = "error"

    @property
    def files(self) -> list[str]:
        """Names of the tables."""
        return split_list(self.labels)


@dataclass
class Columns:
    """Positions of the columns.

    Attributes:
        path, label, split, group, mask: a position; None for none.
        box, sizes: four positions, or one; and whether the last two numbers are width and height.
        attributes: name to position.
        multi: name of each label of its own to position; -1 for one of a separated list.
        listed: position of the column of separated lists.
        split_names: value to split.
        described: role to column, for people.
        binary: name of the class for "1" and "0", if the label column has only these.
        value: of the label column, if it has numbers that are divided into two classes.
    """

    path: int
    label: int | None = None
    split: int | None = None
    group: int | None = None
    mask: int | None = None
    box: tuple[int, ...] = ()
    sizes: bool = False
    attributes: dict[str, int] = field(default_factory=dict)
    multi: dict[str, int] = field(default_factory=dict)
    listed: int | None = None
    split_names: Mapping[str, str] = field(default_factory=lambda: SPLIT_NAMES)
    described: dict[str, str] = field(default_factory=dict)
    binary: tuple[str, str] | None = None
    of_list: str = ""
    value: ValueSplit | None = None

    def class_of(self, cells: Sequence[str]) -> str:
        """The class of a row; '' for none."""
        if self.label is None:
            return ""
        if self.of_list:
            return self.of_list if self.of_list in _items(cells[self.label]) else f"no {self.of_list}"
        cell = cells[self.label]
        if self.value is not None:
            number = read_number(cell)
            return "" if number is None else self.value.class_names[number > self.value.threshold]
        if self.binary is None or not cell:
            return cell
        return self.binary[0] if BINARY.get(cell.casefold()) == "1" else self.binary[1]

    def multi_of(self, cells: Sequence[str]) -> tuple[str, ...]:
        """0 or 1 for each of `multi`; '' where the cell is empty."""
        if self.listed is not None:
            items = _items(cells[self.listed])
            return tuple("1" if name in items else "0" for name in self.multi)
        values = (cells[place].casefold() for place in self.multi.values())
        return tuple("0" if value in MINUS else BINARY.get(value, "") for value in values)


def split_list(text: str) -> list[str]:
    """The items of a list with commas."""
    return [item.strip() for item in text.split(",") if item.strip()]


def choose_columns(
    tables: Sequence[LabelTable], options: LabelOptions, is_file: Callable[[str], bool], class_folders: bool
) -> tuple[Columns, list[tuple[str, ...]]]:
    """Choose the columns, and join the tables.

    Args:
        tables: one or more.
        options: columns by name.
        is_file: whether a cell names one image file. Of several possible columns of paths, the one that names most.
        class_folders: whether the images lie in class folders, so that no column of labels is needed.

    Raises:
        InputError: a named column does not exist, or no column of paths or labels is recognised.
    """
    keys = [_path_column(table, options.path_column, is_file) for table in tables]
    names, rows = join_tables(tables, keys)
    name, used = tables[0].name, {keys[0]}
    columns = Columns(keys[0], described={"path": names[keys[0]]})
    if options.value_column and options.label_column not in ("", NONE):
        raise InputError("fetch.value_column", "no label_column beside it", options.label_column, "remove one of them")
    columns.multi, columns.listed = _multi_labels(name, names, rows, options.multi_labels)
    used |= set(columns.multi.values()) | ({columns.listed} if columns.listed is not None else set())
    if options.label_column in columns.multi and columns.listed is not None:
        columns.label, columns.of_list = columns.listed, options.label_column
        columns.described["label"] = f"{options.label_column} of {names[columns.listed]}"
    label_column = options.value_column or options.label_column
    for role in ("label", "split", "group", "mask"):
        if role == "label" and columns.of_list:
            continue
        given = label_column if role == "label" else getattr(options, f"{role}_column")
        place = _column(name, names, given, role, used if role != "label" else {keys[0]})
        values = {row[place] for row in rows} - {""} if role == "split" and place is not None else set()
        if any(value.casefold() not in SPLIT_NAMES for value in values):
            if given:
                expected = f"the splits {', '.join(sorted(SPLIT_NAMES))}"
                raise InputError(f"{name}, column {given}", expected, ", ".join(sorted(values)[:5]), "rename them")
            place = None
        if place is not None:
            setattr(columns, role, place)
            columns.described[role] = names[place]
            used.add(place)
    if columns.label is None and not class_folders:
        raise InputError(
            name,
            expected=f"a column of labels ({', '.join(NAMES['label'])}), or class folders",
            found=f"the columns {', '.join(names[:20])}",
            hint="set `fetch.label_column` to one of them",
        )
    if options.value_column and columns.label is not None:
        cells = [row[columns.label] for row in rows]
        columns.value = split_by_value(name, options.value_column, cells, options.value_threshold)
    elif columns.label is not None and not columns.of_list:
        columns.binary = _binary(names[columns.label], {row[columns.label] for row in rows})
    columns.box, columns.sizes = _box(name, names, options.box_columns, used)
    if columns.box:
        form = "left, upper, width, height" if columns.sizes else "left, upper, right, lower"
        columns.described["box"] = f"{', '.join(names[place] for place in columns.box)} ({form})"
        used |= set(columns.box)
    columns.attributes = _attributes(name, names, options.attributes, used)
    return columns, rows


def read_boxes(cells: Sequence[str], columns: Columns) -> list[tuple[float, ...]]:
    """The boxes of a row, each as left, upper, right, lower, and its polygons, each as x, y, x, y, ...

    A single column contains one box, or polygons separated by "|". A shape that cannot be read becomes ().
    """
    texts = [cells[place] for place in columns.box]
    if len(texts) == 1:
        parts = ([part for part in re.split(r"[\s,;\[\]()]+", text) if part] for text in texts[0].split("|"))
        return [_read_box(part, columns) for part in parts if part]
    return [_read_box(texts, columns)] if any(texts) else []


def _read_box(texts: Sequence[str], columns: Columns) -> tuple[float, ...]:
    try:
        numbers = [float(text) for text in texts]
    except ValueError:
        return ()
    if len(numbers) < 4 or len(numbers) % 2 or not all(map(math.isfinite, numbers)):
        return ()
    left, upper, right, lower, *more = numbers
    if more:
        return tuple(numbers)
    return (left, upper, left + right, upper + lower) if columns.sizes else (left, upper, right, lower)


def _plain(name: str) -> str:
    return re.sub(r"[\s_.-]+", "", name.casefold())


def _named(name: str, names: Sequence[str], given: str, option: str) -> int:
    if given not in names:
        hint = f"correct fetch.{option}"
        raise InputError(name, f"the column {given} (fetch.{option})", f"the columns {', '.join(names[:40])}", hint)
    return names.index(given)


def _path_column(table: LabelTable, given: str, is_file: Callable[[str], bool]) -> int:
    if given and given in table.columns:
        return table.columns.index(given)
    plain = [_plain(column) for column in table.columns]
    likely = [plain.index(usual) for usual in NAMES["path"] if usual in plain]
    if given or not likely:
        raise InputError(
            table.name,
            expected=f"the column {given} (fetch.path_column)"
            if given
            else f"a column of paths ({', '.join(NAMES['path'])})",
            found=f"the columns {', '.join(table.columns[:40])}",
            hint="set `fetch.path_column` to one of them",
        )
    return max(likely, key=lambda place: sum(is_file(row[place]) for row in table.rows))


def _column(name: str, names: Sequence[str], given: str, role: str, used: Collection[int]) -> int | None:
    if given == NONE:
        return None
    if given:
        return _named(name, names, given, f"{role}_column")
    plain = {_plain(column): place for place, column in reversed(list(enumerate(names))) if place not in used}
    return next((plain[usual] for usual in NAMES[role] if usual in plain), None)


def _binary(name: str, values: set[str]) -> tuple[str, str] | None:
    """Names of the classes of a column of 1 and -1, or of 1 and 0 unless it has a general name such as `label`."""
    found = values - {""}
    if found in ({"1", "-1"}, {"1.0", "-1.0"}) or (found == {"1", "0"} and _plain(name) not in NAMES["label"]):
        return name, f"no {name}"
    return None


def _items(cell: str) -> list[str]:
    separator = next((each for each in "|;," if each in cell), None)
    return [item.strip() for item in (cell.split(separator) if separator else [cell]) if item.strip()]


def _multi_labels(
    name: str, names: Sequence[str], rows: Sequence[Sequence[str]], given: str
) -> tuple[dict[str, int], int | None]:
    places = {column: _named(name, names, column, "multi_labels") for column in split_list(given)}
    for column, place in places.items():
        values = {row[place].casefold() for row in rows} - {""}
        if not values - set(BINARY) or not values - {*MINUS, "1", "1.0"}:
            continue
        if len(places) == 1 and not values & set(MINUS):
            return dict.fromkeys(sorted({item for row in rows for item in _items(row[place])}), -1), place
        raise InputError(
            f"{name}, column {column}",
            expected="0 and 1, or -1 and 1",
            found=", ".join(sorted(values)[:5]),
            hint="recode the column; an uncertain label is an empty cell",
        )
    return places, None


def _box(name: str, names: Sequence[str], given: str, used: Collection[int]) -> tuple[tuple[int, ...], bool]:
    """Positions of the box, and whether it is corner and size."""
    if given == NONE:
        return (), False
    if given:
        chosen = split_list(given)
        if len(chosen) not in (1, 4):
            raise InputError("fetch.box_columns", "one or four columns", given, "such as x0,y0,x1,y1 or x,y,w,h")
        places = tuple(_named(name, names, column, "box_columns") for column in chosen)
        return places, len(chosen) == 1 or _plain(chosen[2]) in ("w", "width")
    plain = {_plain(column): place for place, column in enumerate(names) if place not in used}
    for forms, sizes in ((CORNERS, False), (SIZES, True), (tuple((one,) for one in ONE_BOX), True)):
        for form in forms:
            if all(part in plain for part in form):
                return tuple(plain[part] for part in form), sizes
    return (), False


def _attributes(name: str, names: Sequence[str], given: str, used: Collection[int]) -> dict[str, int]:
    if given == NONE:
        return {}
    if given:
        return {column: _named(name, names, column, "attributes") for column in split_list(given)}
    return {column: place for place, column in enumerate(names) if place not in used and column != "row"}
