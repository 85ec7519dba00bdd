"""The bytes of a tar, out of whatever compresses it, with a limit on what it may grow to."""

import bz2
import errno
import gzip
import importlib
import lzma
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from wheretolook.base.errors import InputError

# The largest read: headers are read whole, and an extended one may claim any size. Contents are copied in such blocks.
BLOCK = 1 << 15
# A reader that meets the end this many times in a row runs in a circle.
PATIENCE = 100

MAGIC = {b"\x1f\x8b": "gz", b"\xfd7zXZ\x00": "xz", b"BZh": "bz2", b"\x28\xb5\x2f\xfd": "zst"}


class Bounded:
    """A stream for tarfile that ends with a refusal where a decompression bomb would go on.

    Attributes:
        most: bytes that may be read or skipped in all.
    """

    # `errors`: what the decompressor raises on damaged bytes, where that is a kind of its own.
    def __init__(self, stream: BinaryIO, most: int, errors: tuple[type[Exception], ...] = ()) -> None:
        self._stream, self.most, self._errors, self._ends = stream, most, errors, 0

    def read(self, size: int = -1) -> bytes:
        """Up to `BLOCK` bytes."""
        if not 0 <= size <= BLOCK:
            raise InputError(f"expected headers of at most {BLOCK:,} bytes, found one that claims {size:,}")
        try:
            data = self._stream.read(size)
        except self._errors as error:
            raise EOFError(str(error)) from error
        self._check(self._stream.tell())
        self._ends = 0 if data or not size else self._ends + 1
        if self._ends > PATIENCE:
            raise EOFError("the end, inside a header")
        return data

    def seek(self, position: int, whence: int = 0) -> int:
        """Go to a position from the start."""
        if position < 0 or whence:
            raise EOFError(f"a header that points to {position}")
        self._check(position)
        try:
            return self._stream.seek(position)
        except self._errors as error:
            raise EOFError(str(error)) from error

    def tell(self) -> int:
        """Bytes from the start."""
        return self._stream.tell()

    def drain(self) -> None:
        """Read to the end, where the checksum of a compressed stream stands."""
        while self.read(BLOCK):
            pass

    def _check(self, position: int) -> None:
        if position > self.most:
            raise InputError(
                f"expected at most {self.most:,} bytes inside an archive of this size, found more: "
                "it grows as a decompression bomb does"
            )


def compression(head: bytes) -> str:
    """What a file is compressed by, told by its first six bytes: a value of MAGIC, or ''."""
    return next((kind for magic, kind in MAGIC.items() if head.startswith(magic)), "")


@contextmanager
def decompressed(archive: Path, most: int) -> Iterator[Bounded]:
    """Open a tar, compressed or not.

    Args:
        archive: its first bytes tell the compression.
        most: bytes that may come out of a compressed one; a plain tar is no larger than it is.
    """
    with archive.open("rb") as file:
        kind = compression(file.read(6))
    if kind == "zst":
        zstandard = _zstandard()
        opener, errors = zstandard.open, (zstandard.ZstdError,)
    else:
        opener, errors = {"gz": gzip.open, "xz": lzma.open, "bz2": bz2.open, "": open}[kind], ()
    with opener(archive, "rb") as stream:
        yield Bounded(stream, most if kind else archive.stat().st_size + (1 << 20), errors)


def _zstandard():
    # In the standard library from Python 3.14 on; the same module is on the package index for older ones.
    for name in ("compression.zstd", "backports.zstd"):
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError:
            continue
    raise InputError(
        "expected a compression that this Python reads, found Zstandard",
        hint="use Python 3.14, install backports.zstd, or unpack it with `zstd -d` and give the .tar",
    )


# What zipfile, tarfile and the decompressors raise on bytes that aren't theirs.
DAMAGED = (
    zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, UnicodeError, ValueError, KeyError,
    IndexError, OverflowError, RuntimeError,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of an archive, as the archive describes it.

    Attributes:
        name: as stored, decoded.
        size: bytes of its content.
        kind: "file", "folder", or what it is instead: "symbolic link", "device", ...
    """

    name: str
    size: int
    kind: str


def entries(archive: Path, most: int) -> list[Entry]:
    """Every entry of a zip or of a tar in any of its compressions, in the archive's order.

    Args:
        archive: the file; its content tells its format, not its name.
        most: bytes that a compressed tar may hold; reading on would be a decompression bomb.

    Raises:
        InputError: no archive, a damaged or cut one, or one that holds more than `most`.
    """
    with refusing_damage():
        if _is_zip(archive):
            with zipfile.ZipFile(archive) as opened:
                return [_zip_entry(info) for info in opened.infolist()]
        with decompressed(archive, most) as stream:
            return list(_tar_entries(stream))


def contents(archive: Path, most: int, places: Collection[int]) -> Iterator[tuple[int, BinaryIO]]:
    """The place among `entries` and the content, to be read at once, of these files, in the archive's order."""
    with refusing_damage():
        if _is_zip(archive):
            yield from _zip_contents(archive, places)
        else:
            yield from _tar_contents(archive, most, places)


def blocks(content: BinaryIO) -> Iterator[bytes]:
    """The bytes of one content, block by block; damaged ones are refused."""
    with refusing_damage():
        while block := content.read(BLOCK):
            yield block


@contextmanager
def refusing_damage() -> Iterator[None]:
    """Turn what the readers raise on damaged bytes into one refusal."""
    try:
        yield
    except (*DAMAGED, OSError) as error:
        # An error of the disk has a number; "not a gzipped file" has none, and EINVAL is an offset below zero.
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
            raise
        said = str(error) or type(error).__name__
        found = f"one that is damaged, cut short or of an unknown kind ({said})"
        raise InputError(f"expected a whole archive, found {found}", hint="fetch or pack it again") from error


def _is_zip(archive: Path) -> bool:
    """Whether a file is a zip, told by how it begins; one with a program before it (self-extracting), by its end."""
    with archive.open("rb") as file:
        head = file.read(tarfile.BLOCKSIZE)
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return True
    # The end alone would tell wrong of a tar whose last file is a zip.
    return not compression(head) and not _is_tar(head) and zipfile.is_zipfile(archive)


def _is_tar(head: bytes) -> bool:
    try:
        tarfile.TarInfo.frombuf(head, "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return head[257:262] == b"ustar"
    return True


def _zip_entry(info: zipfile.ZipInfo) -> Entry:
    name = _zip_name(info)
    # Some tools on Windows end a folder's name in a backslash.
    kind = "folder" if info.is_dir() or name.endswith("\\") else _kind(info.external_attr >> 16)
    if info.flag_bits & 0x1:
        kind = "encrypted file"
    return Entry(name, info.file_size, kind)


def _kind(mode: int) -> str:
    kinds = {0: "file", stat.S_IFREG: "file", stat.S_IFDIR: "folder", stat.S_IFLNK: "symbolic link"}
    return kinds.get(stat.S_IFMT(mode), "device")


def _zip_name(info: zipfile.ZipInfo) -> str:
    if info.flag_bits & 0x800:
        return info.orig_filename
    # Without the flag, zipfile reads code page 437; most tools that leave it out write UTF-8 all the same.
    try:
        return info.orig_filename.encode("cp437").decode("utf-8")
    except UnicodeError:
        return info.orig_filename


def _zip_contents(archive: Path, places: Collection[int]) -> Iterator[tuple[int, BinaryIO]]:
    with zipfile.ZipFile(archive) as opened:
        for place, info in enumerate(opened.infolist()):
            if place in places:
                with opened.open(info) as content:
                    yield place, content


def _tar_entries(stream: Bounded) -> Iterator[Entry]:
    with tarfile.open(fileobj=stream, mode="r:") as opened:
        for member in _members(opened):
            # A size below zero would lead the reader back to this very header, for ever.
            if member.size < 0:
                raise InputError(f"expected sizes from 0 on, found {member.size} for {member.name[:80]!r}")
            yield Entry(_tar_name(member), member.size, _tar_kind(member))
        # tarfile takes a damaged header for the end. The true end is a block of zeros.
        stream.seek(opened.offset)
        if stream.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
            raise tarfile.ReadError(f"no end mark after {opened.offset:,} bytes")
        stream.drain()


def _members(opened: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """Its members one by one: the list that tarfile keeps of them would hold a kilobyte for each."""
    while (member := opened.next()) is not None:
        opened.members.clear()
        yield member


def _tar_name(member: tarfile.TarInfo) -> str:
    try:
        return member.name.encode("utf-8", "surrogateescape").decode("utf-8")
    except UnicodeError:
        return member.name.encode("utf-8", "surrogateescape").decode("latin-1")


def _tar_kind(member: tarfile.TarInfo) -> str:
    if member.isdir():
        return "folder"
    if member.issym():
        return "symbolic link"
    if member.islnk():
        return "hard link"
    if member.issparse():
        return "sparse file"
    return "file" if member.isreg() else "device"


def _tar_contents(archive: Path, most: int, places: Collection[int]) -> Iterator[tuple[int, BinaryIO]]:
    last = max(places, default=-1)
    with decompressed(archive, most) as stream, tarfile.open(fileobj=stream, mode="r:") as opened:
        for place, member in enumerate(_members(opened)):
            if place in places:
                content = opened.extractfile(member)
                assert content is not None
                yield place, content
            if place >= last:
                break
