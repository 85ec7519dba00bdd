"""Images with a table of labels: match rows and files, and write class folders, masks and the table."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from PIL import Image

from wheretolook.base.errors import InputError, is_class_name
from wheretolook.base.files import is_junk
from wheretolook.base.prepared import ATTRIBUTE, LABEL, VALUE
from wheretolook.images.class_level import split_of
from wheretolook.images.decode import SUFFIXES
from wheretolook.images.raw_data import Parts, RawTable, composed, image_paths, store, write_raw_table
from wheretolook.images.scan import path_inside, scan_raw
from wheretolook.sources.label_columns import Columns, LabelOptions, choose_columns, read_boxes
from wheretolook.sources.label_table import Files, LabelTable, classes_of_folders, mask_of_boxes

EXAMPLES = 20
NO_FILE, NO_ROW, NO_LABEL, NO_SPLIT = (
    "rows without a file", "files without a row", "rows without a label", "rows without a split",
)  # fmt: skip
DOUBLE, CONTRADICTORY, BAD_BOX, NO_MASK, ODD, SEVERAL = (
    "double rows", "contradictory rows", "boxes outside of their image or not four numbers", "rows without their mask",
    "rows with more or fewer cells than columns", "rows whose name fits several files",
)  # fmt: skip


@dataclass
class _Row:
    """What the table says about one image."""

    label: str
    split: str
    group: str
    mask: str
    boxes: list[tuple[float, ...]]
    multi: tuple[str, ...]
    attributes: tuple[str, ...]


@dataclass
class _Bad:
    """Rows and files that do not fit, by kind."""

    names: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def add(self, kind: str, name: str) -> None:
        self.names[kind].append(name)

    def refuse(self, table: str) -> None:
        """Raise InputError if there are any."""
        if self.names:
            shown = (f"{len(names)} {kind}, such as {', '.join(names[:3])}" for kind, names in self.names.items())
            raise InputError(
                table,
                expected="one row for each image, and one image for each row",
                found="; ".join(shown),
                hint="correct them, or set `fetch.on_bad_row: drop` to leave them out",
            )


def write_labelled(
    images: Path, masks: Path | None, tables: Sequence[LabelTable], options: LabelOptions, target: Path, move: bool
) -> tuple[str, ...]:
    """Write the images that the tables label into class folders.

    Args:
        images: the folder of images, flat or with any folders in it.
        masks: a folder of masks with the paths of the images, or those that the mask column names; None for none.
        tables: one or more, joined on the path.
        options: which column is what.
        target: `images/[SPLIT/]CLASS/...`, `masks` if there are any, table.csv and table.json are written to it.
        move: move the files instead of copying them.

    Returns:
        Names of the files without an image suffix, which are ignored.

    Raises:
        InputError: no such column, a path outside of the folder, or rows that do not fit and `on_bad_row` is "error".
    """
    name = tables[0].name
    inside = path_inside(masks, images)
    paths = {composed(path.relative_to(images).parts): path for path in image_paths(images, inside)}
    mask_files = Files({composed(p.relative_to(masks).parts): p for p in image_paths(masks)} if masks else paths)
    files = Files(paths)
    if not paths:
        raise InputError(images, f"images ({', '.join(sorted(SUFFIXES))})", "none", "check fetch.path or fetch.root")
    folders = classes_of_folders(images, inside)
    columns, rows = choose_columns(tables, options, lambda cell: len(files.find(cell)) == 1, bool(folders))
    bad = _Bad()
    for table in tables:
        for odd in table.odd:
            bad.add(ODD, odd)
    found = _matched(rows, columns, files, bad, name)
    if columns.mask:
        of_masks = {files_[0] for row in found.values() if row.mask and len(files_ := mask_files.find(row.mask)) == 1}
        paths = paths if masks else {parts: path for parts, path in paths.items() if parts not in of_masks}
    for parts in sorted(paths.keys() - found.keys()):
        bad.add(NO_ROW, "/".join(parts))
    split_by_folder = not columns.split and not folders and _split_folders(found)
    places = _places(found, columns, folders, split_by_folder, bad)
    boxes = {parts: found[parts].boxes for parts in places if found[parts].boxes}
    shapes = {parts: box for parts, each in boxes.items() if (box := mask_of_boxes(paths[parts], each)) is not None}
    own_masks = _masks(places, found, mask_files, columns, masks, bad)
    for parts in boxes.keys() - shapes.keys():
        bad.add(BAD_BOX, "/".join(parts))
    if options.on_bad_row == "error":
        bad.refuse(name)
    left_out = {*(boxes.keys() - shapes.keys()), *(p for p, mask in own_masks.items() if mask is None)}
    places = {parts: place for parts, place in places.items() if parts not in left_out}
    if not places:
        raise InputError(name, "rows that fit images", "none", "check fetch.labels and fetch.path_column")
    ordered = sorted(places.items())
    _write_masks(ordered, shapes, own_masks, target)
    store([("/".join(place), str(paths[parts])) for parts, place in ordered], target, "images", move)
    write_raw_table(target, _raw_table(tables, columns, options, found, places, bad, split_by_folder))
    try:
        scan_raw(target)
    except InputError as error:
        raise InputError(name, error.expected, error.found, error.hint) from error
    return tuple(_ignored(images, inside, {table.name for table in tables}))


def _write_masks(
    places: Sequence[tuple[Parts, Parts]], shapes: Mapping[Parts, Image.Image],
    own_masks: Mapping[Parts, Path | None], target: Path,
) -> None:  # fmt: skip
    """Write the masks of boxes, and copy the others: an archive may name one file as the mask of several images."""
    files = []
    for parts, place in places:
        stem, mask = "/".join(place).rpartition(".")[0], own_masks.get(parts)
        if parts in shapes:
            path = target / "masks" / f"{stem}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            shapes[parts].save(path)
        elif mask is not None:
            files.append((f"{stem}{mask.suffix}", str(mask)))
    store(files, target, "masks")


def _matched(
    rows: Iterable[tuple[str, ...]], columns: Columns, files: Files, bad: _Bad, name: str
) -> dict[Parts, _Row]:
    """The row of each file; rows that do not fit are added to `bad`."""
    found: dict[Parts, _Row] = {}
    wrong: set[Parts] = set()
    for cells in rows:
        cell = cells[columns.path]
        _check_inside(name, cell)
        fits = files.find(cell)
        if len(fits) != 1:
            bad.add(SEVERAL if fits else NO_FILE, cell or "(empty)")
            continue
        parts, row = fits[0], _row(cells, columns)
        row.boxes = read_boxes(cells, columns)
        if parts not in found:
            found[parts] = row
            continue
        first = found[parts]
        if (first.label, first.split, first.group, first.mask, first.multi) != (
            row.label, row.split, row.group, row.mask, row.multi,
        ):  # fmt: skip
            bad.add(CONTRADICTORY, cell)
            wrong.add(parts)
        elif more := [box for box in row.boxes if box not in first.boxes]:
            # Several boxes in one image: attributes that differ are of a box, not of the image.
            first.boxes += more
            pairs = zip(first.attributes, row.attributes, strict=True)
            first.attributes = tuple(a if a == b else "" for a, b in pairs)
        elif first.attributes == row.attributes:
            bad.add(DOUBLE, cell)
        else:
            bad.add(CONTRADICTORY, cell)
            wrong.add(parts)
    return {parts: row for parts, row in found.items() if parts not in wrong} | dict.fromkeys(wrong, _UNUSED)


_UNUSED = _Row("", "", "", "", [], (), ())


def _row(cells: Sequence[str], columns: Columns) -> _Row:
    def cell(place: int | None) -> str:
        return "" if place is None else cells[place]

    split = columns.split_names.get(cell(columns.split).casefold(), "")
    label = columns.class_of(cells)
    attributes = tuple(cells[place] for place in columns.attributes.values())
    multi = columns.multi_of(cells) + ((cell(columns.label),) if columns.value else ())
    return _Row(label, split, cell(columns.group), cell(columns.mask), [], multi, attributes)


def _check_inside(name: str, cell: str) -> None:
    plain = cell.replace("\\", "/")
    if plain.startswith("/") or plain[1:3] == ":/" or ".." in plain.split("/"):
        raise InputError(name, "paths inside the folder of images", repr(cell), "make them relative to fetch.path")


def _places(
    found: Mapping[Parts, _Row], columns: Columns, folders: Mapping[Parts, Parts], by_folder: bool, bad: _Bad
) -> dict[Parts, Parts]:
    """The path below `images` of each file that has a class (and a split, if the table has splits)."""
    usable = {parts: row for parts, row in found.items() if row is not _UNUSED}
    splits = {parts: split_of(parts[0]) if by_folder else row.split for parts, row in usable.items()}
    kept = set(splits.values()) - {""}
    # A single split `train` is none: val and test are drawn from it.
    split = bool(kept) and kept != {"train"}
    places = {}
    for parts, row in usable.items():
        own = folders.get(parts) if columns.label is None else None
        if own is None and columns.label is None:
            bad.add(NO_LABEL, "/".join(parts))
        elif own is not None and not split:
            places[parts] = own
        elif split and not splits[parts]:
            bad.add(NO_SPLIT, "/".join(parts))
        elif own is not None:
            places[parts] = (splits[parts], *own)
        elif not row.label:
            bad.add(NO_LABEL, "/".join(parts))
        else:
            if not is_class_name(row.label) or "/" in row.label or "\\" in row.label or is_junk([row.label]):
                raise InputError(
                    f"label {row.label!r}",
                    expected="a name that a folder can have, without slashes and a leading dot",
                    found=f"the label of {'/'.join(parts)}",
                    hint="rename the class in the table",
                )
            below = parts[1:] if by_folder else parts
            places[parts] = (*([splits[parts]] if split else []), row.label, *below)
    return places


def _split_folders(found: Mapping[Parts, Any]) -> bool:
    """Whether every file lies in a folder named like a split, one of them `train`."""
    kinds = {split_of(parts[0]) if len(parts) > 1 else "" for parts in found}
    return "" not in kinds and "train" in kinds


def _masks(
    places: Mapping[Parts, Parts], found: Mapping[Parts, _Row], files: Files, columns: Columns, masks: Path | None,
    bad: _Bad,
) -> dict[Parts, Path | None]:  # fmt: skip
    """The mask file of each image that has one; None for one that the table names and that is missing."""
    if columns.mask is None and masks is None:
        return {}
    own: dict[Parts, Path | None] = {}
    for parts in places:
        row = found[parts]
        if columns.mask is None:
            fits = files.find("/".join((*parts[:-1], parts[-1].rpartition(".")[0])))
            if len(fits) == 1:
                own[parts] = files.paths[fits[0]]
        elif row.mask:
            fits = files.find(row.mask)
            own[parts] = files.paths[fits[0]] if len(fits) == 1 else None
            if len(fits) != 1:
                bad.add(NO_MASK, "/".join(parts))
    return own


def _raw_table(
    tables: Sequence[LabelTable], columns: Columns, options: LabelOptions, found: Mapping[Parts, _Row],
    places: Mapping[Parts, Parts], bad: _Bad, by_folder: bool,
) -> RawTable:  # fmt: skip
    value = columns.value
    names = *(ATTRIBUTE + each for each in columns.attributes), *(LABEL + each for each in columns.multi)
    ids = {parts: "/".join(place) for parts, place in places.items()}
    return RawTable(
        columns=(*names, *([VALUE + value.name] if value else [])),
        cells={ids[parts]: (*found[parts].attributes, *found[parts].multi) for parts in places},
        groups={ids[parts]: found[parts].group for parts in places} if columns.group is not None else {},
        choices={
            "tables": [{"file": PurePosixPath(t.name).name, "form": t.form, "rows": len(t.rows)} for t in tables],
            "columns": columns.described | ({"split": "the folders"} if by_folder else {}),
            "attributes": list(columns.attributes),
            "multi_labels": list(columns.multi),
            **({"value": {"column": value.name, "threshold": value.threshold}} if value else {}),
            "on_bad_row": options.on_bad_row,
            "bad_rows": {
                kind: {"count": len(each), "examples": each[:EXAMPLES]} for kind, each in sorted(bad.names.items())
            },
        },
    )


def _ignored(images: Path, without: Parts, tables: set[str]) -> list[str]:
    """Other files below the folder, except the tables and system files."""
    below = sorted(path for path in images.rglob("*") if path.suffix.lower() not in SUFFIXES and path.is_file())
    parts = (path.relative_to(images).parts for path in below)
    names = {PurePosixPath(table.replace("\\", "/")).name for table in tables}
    return [
        "/".join(each)
        for each in parts
        if not is_junk(each) and each[-1] not in names and not (without and each[: len(without)] == without)
    ]
