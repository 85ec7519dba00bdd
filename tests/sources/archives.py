"""Archives of the tests, made entry by entry, so that they can hold what no honest tool writes."""

import io
import struct
import tarfile
import zipfile
from collections.abc import Iterable
from pathlib import Path

Entries = Iterable[tuple[str, bytes]]

TWO_CLASSES = (("cells/infected/1.png", b"one"), ("cells/infected/2.png", b"two"), ("cells/healthy/1.png", b"three"))


def write_zip(path: Path, entries: Entries) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries:
            archive.writestr(_Literal(name), content)
    return path


class _Literal(zipfile.ZipInfo):
    """An entry whose name is stored as given: the library would tidy it."""

    def __init__(self, name: str) -> None:
        super().__init__("placeholder")
        self.filename = self.orig_filename = name
        self.compress_type = zipfile.ZIP_DEFLATED


def write_tar(path: Path, entries: Entries, mode: str = "w") -> Path:
    with tarfile.open(path, mode) as archive:
        for name, content in entries:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def write_tar_member(path: Path, name: str, kind: bytes, target: str = "") -> Path:
    """A tar with two honest files and one entry of another kind."""
    with tarfile.open(path, "w") as archive:
        for honest, content in TWO_CLASSES:
            member = tarfile.TarInfo(honest)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        member = tarfile.TarInfo(name)
        member.type, member.linkname = kind, target
        archive.addfile(member)
    return path


def zip_link(path: Path, name: str, target: str, mode: int = 0o120777) -> Path:
    """A zip whose last entry is a symbolic link, or of another kind by its mode."""
    write_zip(path, TWO_CLASSES)
    with zipfile.ZipFile(path, "a") as archive:
        info = zipfile.ZipInfo(name)
        info.create_system, info.external_attr = 3, mode << 16
        archive.writestr(info, target)
    return path


def with_flag(path: Path, flag: int) -> Path:
    """The zip with a general purpose flag set in every header: 1 is encryption."""
    data = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        place = data.find(signature)
        while place >= 0:
            value = struct.unpack_from("<H", data, place + offset)[0]
            struct.pack_into("<H", data, place + offset, value | flag)
            place = data.find(signature, place + 4)
    path.write_bytes(data)
    return path


def with_size_claim(path: Path, size: int) -> Path:
    """The zip whose entries all claim another size in the central directory."""
    data = bytearray(path.read_bytes())
    place = data.find(b"PK\x01\x02")
    while place >= 0:
        struct.pack_into("<I", data, place + 24, size)
        place = data.find(b"PK\x01\x02", place + 4)
    path.write_bytes(data)
    return path


def with_header_field(path: Path, offset: int, field: bytes) -> Path:
    """The tar whose first header has other bytes at an offset, and a checksum that fits."""
    data = bytearray(path.read_bytes())
    data[offset : offset + len(field)] = field
    data[148:156] = b" " * 8
    data[148:156] = b"%06o\0 " % sum(data[:512])
    path.write_bytes(data)
    return path


def tree(folder: Path) -> dict[str, bytes]:
    """Every file below a folder: path to content."""
    return {f.relative_to(folder).as_posix(): f.read_bytes() for f in sorted(folder.rglob("*")) if f.is_file()}
