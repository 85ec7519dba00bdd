"""What a table of labels says about the raw images: data/raw/table.csv and table.json, from `fetch` to `prepare`."""

import csv
import json
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wheretolook.base.errors import InputError
from wheretolook.base.files import write_json
from wheretolook.base.prepared import ValueSplit

ROWS, CHOICES = "table.csv", "table.json"


@dataclass(frozen=True)
class RawTable:
    """A table of labels, as `fetch` used it.

    Attributes:
        columns: `attribute:NAME`, `label:NAME` and `value:NAME`.
        cells: of each image, by image_id.
        groups: of each image, by image_id; empty if the table has no groups.
        choices: which columns were used, and what was wrong with the rows (table.json); empty without a table.
    """

    columns: tuple[str, ...] = ()
    cells: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    groups: Mapping[str, str] = field(default_factory=dict)
    choices: Mapping[str, Any] = field(default_factory=dict)


def write_raw_table(folder: Path, table: RawTable) -> None:
    """Write table.csv and table.json into the folder of the raw data."""
    with (folder / ROWS).open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["image_id", *(["group"] if table.groups else []), *table.columns])
        for image_id in sorted(table.cells):
            group = [table.groups[image_id]] if table.groups else []
            writer.writerow([image_id, *group, *table.cells[image_id]])
    write_json(folder / CHOICES, dict(table.choices))


def read_raw_table(folder: Path) -> RawTable:
    """Read what `write_raw_table` wrote; an empty table if there is none.

    Raises:
        InputError: damaged.
    """
    if not (folder / CHOICES).is_file():
        return RawTable()
    try:
        choices = json.loads((folder / CHOICES).read_text(encoding="utf-8"))
        with (folder / ROWS).open(encoding="utf-8", newline="") as file:
            header, *rows = csv.reader(file)
        grouped = header[1:2] == ["group"]
        start = 2 if grouped else 1
        cells = {row[0]: tuple(row[start:]) for row in rows}
        groups = {row[0]: row[1] for row in rows} if grouped else {}
    except (OSError, ValueError, IndexError, csv.Error) as error:
        raise InputError(folder / ROWS, "the table that fetch writes", error, 'run "dvc repro -sf fetch"') from error
    return RawTable(tuple(header[start:]), cells, groups, choices)


def split_by_value(table: str, name: str, cells: Sequence[str], threshold: float | None = None) -> ValueSplit:
    """Where a column of numbers divides the images into two classes.

    Args:
        table: for messages.
        name: of the column.
        cells: of the column; those without a number do not count.
        threshold: as given; None: the median, or where no value is above it the largest value below.

    Raises:
        InputError: all values are on one side.
    """
    values = sorted(value for cell in cells if (value := read_number(cell)) is not None)
    if threshold is None and values:
        median = statistics.median(values)
        below = [value for value in values if value < median]
        threshold = max(below) if median == values[-1] and below else median
        rounded = float(f"{threshold:.4g}")  # for the names of the classes
        threshold = rounded if values[0] <= rounded < values[-1] else threshold
    if not values or threshold is None or not values[0] <= threshold < values[-1]:
        found = f"values from {values[0]:g} to {values[-1]:g}" if values else "no numbers"
        raise InputError(
            f"{table}, column {name}",
            expected="values on both sides of a threshold"
            if threshold is None
            else f"values on both sides of {threshold:g}",
            found=found,
            hint="set `fetch.value_column` to a column of numbers, and `fetch.value_threshold` to a value between them",
        )
    return ValueSplit(name, threshold)


def read_number(cell: str) -> float | None:
    """The number in a cell; None for another text, NaN or an infinity."""
    try:
        value = float(cell)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def choice_lines(choices: Mapping[str, Any]) -> Sequence[str]:
    """What was read from the table and how, in lines for the terminal."""
    if not choices:
        return []
    tables = "; ".join(f"{each['file']} ({each['form']}, {each['rows']} rows)" for each in choices["tables"])
    used = ", ".join(f"{role} from {column}" for role, column in choices["columns"].items())
    lines = [f"{tables}: {used}"]
    for kind in ("attributes", "multi_labels"):
        if choices[kind]:
            lines.append(f"{kind.replace('_', ' ')}: {', '.join(choices[kind])}")
    if "value" in choices:
        lines.append(f"classes: {choices['value']['column']} up to or above {choices['value']['threshold']:g}")
    return lines + [
        f"{bad['count']} {kind}, left out, such as {bad['examples'][0]}" for kind, bad in choices["bad_rows"].items()
    ]
