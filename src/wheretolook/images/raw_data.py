"""The folder data/raw, from `fetch` to `prepare`: the images, and what a table of labels says about them.

Images lie in images/CLASS/FILE, and masks in masks/CLASS/FILE. From PACK_FROM files on they are packed into zip files
without compression (images.000.zip, images.001.zip, ...), since each file of an output costs DVC about a millisecond.
"""

import csv
import io
import json
import os
import shutil
import struct
import unicodedata
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from tqdm import tqdm

from wheretolook.base.errors import InputError
from wheretolook.base.files import is_junk, write_json
from wheretolook.images.decode import SUFFIXES

ROWS, CHOICES = "table.csv", "table.json"
REFETCH = 'run "dvc repro -sf fetch"'

PACK_FROM = 5000  # files
# Largest file that is packed, in bytes: packed files are read into memory.
LARGEST_PACKED = 16 << 20
# Size of one zip file: below the limits of the format without its 64-bit extension.
MOST_FILES, MOST_BYTES = 50_000, 1 << 30

LOCAL, CENTRAL, END = struct.Struct("<4s5H3L2H"), struct.Struct("<4s6H3L5H2L"), struct.Struct("<4s4H2LH")
# Version 2.0, names in UTF-8, stored, 1 January 1980: equal files give equal bytes.
VERSION, UTF8, STORED, TIME, DATE = 20, 1 << 11, 0, 0, 0x21
UNIX, REGULAR = 3 << 8, 0o100644 << 16


@dataclass(frozen=True, slots=True)
class PackedFile:
    """A file in one of the zip files of data/raw."""

    archive: Path
    name: str
    offset: int  # of its local header
    size: int  # bytes

    def __str__(self) -> str:
        return f"{self.archive}: {self.name}"

    def read_bytes(self) -> bytes:
        """Its content.

        Raises:
            InputError: the zip file is damaged.
        """
        start = LOCAL.size + len(self.name.encode())
        with self.archive.open("rb", buffering=0) as file:
            file.seek(self.offset)
            content = file.read(start + self.size)
        if len(content) < start + self.size or content[:4] != b"PK\3\4":
            raise InputError(self.archive, "the zip file that fetch writes", "a damaged one", REFETCH)
        return content[start:]


RawFile = Path | PackedFile
Parts = tuple[str, ...]


def store(files: Sequence[tuple[str, str]], raw: Path, kind: str, move: bool = False) -> None:
    """Write files below RAW/KIND, or pack them if they are many.

    Args:
        files: path below RAW/KIND, with slashes, and source of each file.
        raw: the folder of the raw data.
        kind: "images" or "masks".
        move: remove the sources.
    """
    shown = tqdm(files, desc=f"store {kind}", unit="file", disable=None)
    if is_packed(files):
        _pack(shown, raw, kind, move)
        return
    for name, source in shown:
        path = raw / kind / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if move:
            Path(source).replace(path)
        else:
            shutil.copyfile(source, path)


def is_packed(files: Sequence[tuple[str, str]]) -> bool:
    """Whether `store` packs these files."""
    # Making a Path takes longer than the call, here and in _pack.
    return len(files) >= PACK_FROM and all(os.stat(source).st_size <= LARGEST_PACKED for _, source in files)  # noqa: PTH116


def _pack(files: "tqdm[tuple[str, str]]", raw: Path, kind: str, move: bool) -> None:
    number, directory, file = 0, bytearray(), None
    count = 0
    raw.mkdir(parents=True, exist_ok=True)
    try:
        for name, source in files:
            if file is None:
                file = (raw / f"{kind}.{number:03d}.zip").open("xb")
                number, directory, count = number + 1, bytearray(), 0
            with io.FileIO(source) as opened:
                content = opened.readall()
            encoded, crc, offset = name.encode(), zlib.crc32(content), file.tell()
            about = (UTF8, STORED, TIME, DATE, crc, len(content), len(content), len(encoded), 0)
            file.write(LOCAL.pack(b"PK\3\4", VERSION, *about) + encoded)
            file.write(content)
            directory += CENTRAL.pack(b"PK\1\2", UNIX | VERSION, VERSION, *about, 0, 0, 0, REGULAR, offset) + encoded
            count += 1
            if move:
                Path(source).unlink()
            if count == MOST_FILES or file.tell() >= MOST_BYTES:
                _finish(file, directory, count)
                file = None
        if file is not None:
            _finish(file, directory, count)
            file = None
    finally:
        if file is not None:
            file.close()


def _finish(file: BinaryIO, directory: bytearray, count: int) -> None:
    start = file.tell()
    file.write(directory + END.pack(b"PK\5\6", 0, 0, count, count, len(directory), start, 0))
    file.close()


def packed_files(raw: Path, kind: str) -> dict[str, PackedFile]:
    """The packed files by name; empty if they are not packed.

    Args:
        raw: the folder of the raw data.
        kind: "images" or "masks".

    Raises:
        InputError: a zip file is damaged.
    """
    found = {}
    for archive in sorted(raw.glob(f"{kind}.[0-9]*.zip")):
        try:
            with zipfile.ZipFile(archive) as opened:
                for info in opened.infolist():
                    found[info.filename] = PackedFile(archive, info.filename, info.header_offset, info.file_size)
        except (OSError, zipfile.BadZipFile, NotImplementedError, UnicodeDecodeError) as error:
            raise InputError(archive, "the zip file that fetch writes", error, REFETCH) from error
    return found


def pack_raw(raw: Path) -> None:
    """Pack the images and masks of RAW that are in folders, if they are many (`store`)."""
    for kind in ("images", "masks"):
        if (raw / kind).is_dir():
            files = [("/".join(composed(parts)), path) for parts, path in walk(raw / kind)]
            if is_packed(files):
                store(files, raw, kind, move=True)
                shutil.rmtree(raw / kind)


def walk(folder: Path, without: Parts = ()) -> Iterator[tuple[Parts, str]]:
    """Path relative to the folder, and path, of each file below a folder, sorted, except system files.

    Links to folders are followed directly in `folder` only.

    Args:
        folder: searched with all folders in it.
        without: relative path of a folder to skip; () for none.

    Raises:
        InputError: a link to nothing, a pipe or a device with an image suffix.
    """
    yield from _walk(str(folder), (), without)


def _walk(folder: str, above: Parts, without: Parts) -> Iterator[tuple[Parts, str]]:
    with os.scandir(folder) as entries:
        ordered = sorted(entries, key=lambda entry: entry.name)
    for entry in ordered:
        parts = (*above, entry.name)
        if is_junk(parts[-1:]) or parts == without:
            continue
        if entry.is_dir(follow_symlinks=not above):
            yield from _walk(entry.path, parts, without)
        elif _is_file(entry):
            yield parts, entry.path


def composed(parts: Sequence[str]) -> Parts:
    """The names in composed form (NFC), since file systems differ in the form that they store."""
    # ASCII names have one form only.
    return tuple(part if part.isascii() else unicodedata.normalize("NFC", part) for part in parts)


def image_paths(folder: Path, without: Parts = ()) -> list[Path]:
    """All image files below a folder, sorted, except system files and those below the relative path `without`."""
    return [Path(path) for parts, path in walk(folder, without) if has_image_suffix(parts[-1])]


def has_image_suffix(name: str) -> bool:
    """Whether a file's name has the suffix of an image."""
    dot = name.rfind(".")
    return dot > 0 and name[dot:].lower() in SUFFIXES


def _is_file(entry: "os.DirEntry[str]") -> bool:
    """Whether an entry is a file. A broken link or a device with an image suffix raises InputError."""
    if entry.is_file():
        return True
    if has_image_suffix(entry.name):
        path = Path(entry.path)
        if not path.exists():
            raise InputError(
                path,
                expected="an image",
                found=f"a link to {path.readlink()}, which does not exist",
                hint="restore the file, or remove the link",
            )
        if not path.is_dir():
            raise InputError(path, expected="an image", found="a pipe, a socket or a device", hint="remove it")
    return False


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
        raise InputError(folder / ROWS, "the table that fetch writes", error, REFETCH) from error
    return RawTable(tuple(header[start:]), cells, groups, choices)


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
