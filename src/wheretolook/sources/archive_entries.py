"""List and read the entries of zip and tar archives, with a limit on the decompressed size."""

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
from typing import IO, Any, BinaryIO, cast

from wheretolook.base.errors import InputError

# Largest read. tarfile reads a header at once, and an extended header may claim any size.
BLOCK = 1 << 15
# tarfile loops forever on some damaged headers: this many reads in a row at the end of the file are an error.
MOST_READS_AT_END = 100

# The subject of an error about the archive as a whole; `naming_archive` replaces it with the archive's path.
ARCHIVE = "the archive"

MAGIC = {b"\x1f\x8b": "gz", b"\xfd7zXZ\x00": "xz", b"BZh": "bz2", b"\x28\xb5\x2f\xfd": "zst"}


class Bounded:
    """A stream for tarfile that raises InputError once more than `most` bytes were read or skipped.

    Attributes:
        most: limit in bytes.
    """

    # `errors`: exceptions of the decompressor for damaged data that are not in DAMAGED.
    def __init__(self, stream: BinaryIO, most: int, errors: tuple[type[Exception], ...] = ()) -> None:
        self._stream, self.most, self._errors, self._ends = stream, most, errors, 0

    def read(self, size: int = -1) -> bytes:
        """Read up to `BLOCK` bytes."""
        if not 0 <= size <= BLOCK:
            raise InputError("a header", f"at most {BLOCK:,} bytes", f"{size:,}", "repack the archive")
        try:
            data = self._stream.read(size)
        except self._errors as error:
            raise EOFError(str(error)) from error
        self._check(self._stream.tell())
        self._ends = 0 if data or not size else self._ends + 1
        if self._ends > MOST_READS_AT_END:
            raise EOFError("end of file inside a header")
        return data

    def seek(self, position: int, whence: int = 0) -> int:
        """Seek to a position counted from the start."""
        if position < 0 or whence:
            raise EOFError(f"a header points to {position}")
        self._check(position)
        try:
            return self._stream.seek(position)
        except self._errors as error:
            raise EOFError(str(error)) from error

    def tell(self) -> int:
        """Position in bytes from the start."""
        return self._stream.tell()

    def drain(self) -> None:
        """Read to the end: a compressed stream ends with its checksum."""
        while self.read(BLOCK):
            pass

    def _check(self, position: int) -> None:
        if position > self.most:
            raise InputError(
                ARCHIVE,
                expected=f"at most {self.most:,} bytes in an archive of this size",
                found="more, as in a decompression bomb",
                hint="if you made it yourself, unpack it and use `source: folder`",
            )


def compression(head: bytes) -> str:
    """Compression of a file by its first six bytes: a value of MAGIC, or '' for none."""
    return next((kind for magic, kind in MAGIC.items() if head.startswith(magic)), "")


@contextmanager
def decompressed(archive: Path, most: int) -> Iterator[Bounded]:
    """Open a tar, compressed or not.

    Args:
        archive: the file; its first bytes decide the compression.
        most: limit in bytes for the content of a compressed tar. A plain tar is limited by its own size.
    """
    with archive.open("rb") as file:
        kind = compression(file.read(6))
    errors: tuple[type[Exception], ...] = ()
    if kind == "zst":
        zstandard = _zstandard()
        opener, errors = zstandard.open, (zstandard.ZstdError,)
    else:
        opener = {"gz": gzip.open, "xz": lzma.open, "bz2": bz2.open, "": open}[kind]
    with opener(archive, "rb") as stream:
        yield Bounded(stream, most if kind else archive.stat().st_size + (1 << 20), errors)


def _zstandard() -> Any:
    # In the standard library since Python 3.14; backports.zstd is the same module for older versions.
    for name in ("compression.zstd", "backports.zstd"):
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError:
            continue
    raise InputError(
        "the archive",
        expected="a compression that this version of Python supports",
        found="Zstandard",
        hint="use Python 3.14, install backports.zstd, or unpack it with `zstd -d` and give the .tar",
    )


# Exceptions of zipfile, tarfile and the decompressors for damaged data.
DAMAGED = (
    zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, UnicodeError, ValueError, KeyError,
    IndexError, OverflowError, RuntimeError,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of an archive, as its header describes it.

    Attributes:
        name: the stored name, decoded.
        size: size of the content in bytes.
        kind: "file", "folder", "symbolic link", "hard link", "sparse file", "encrypted file" or "device".
    """

    name: str
    size: int
    kind: str


def entries(archive: Path, most: int) -> list[Entry]:
    """List the entries of a zip or (compressed) tar, in the archive's order.

    Args:
        archive: the file. Its content decides the format, not its name.
        most: limit in bytes for the content of a compressed tar.

    Raises:
        InputError: no archive, damaged or truncated, or larger than `most`.
    """
    with reporting_damage():
        if _is_zip(archive):
            with zipfile.ZipFile(archive) as opened:
                return [_zip_entry(info) for info in opened.infolist()]
        with decompressed(archive, most) as stream:
            return list(_tar_entries(stream))


def contents(archive: Path, most: int, places: Collection[int]) -> Iterator[tuple[int, IO[bytes]]]:
    """Yield position and content of the entries at these positions of `entries`, in the archive's order.

    Read each content before advancing to the next.
    """
    with reporting_damage():
        if _is_zip(archive):
            yield from _zip_contents(archive, places)
        else:
            yield from _tar_contents(archive, most, places)


def blocks(content: IO[bytes]) -> Iterator[bytes]:
    """Yield the bytes of one content in blocks; raise InputError on damaged data."""
    with reporting_damage():
        while block := content.read(BLOCK):
            yield block


@contextmanager
def reporting_damage() -> Iterator[None]:
    """Turn the exceptions of the readers on damaged data into an InputError."""
    try:
        yield
    except (*DAMAGED, OSError) as error:
        # An I/O error has an errno; "not a gzipped file" has none, and EINVAL is a negative offset.
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
            raise
        raise InputError(
            ARCHIVE,
            expected="a complete zip or tar",
            found=f"damaged or truncated data, or an unknown format ({error or type(error).__name__})",
            hint="download or pack it again",
        ) from error


def _is_zip(archive: Path) -> bool:
    """Whether a file is a zip, by its first bytes; a self-extracting zip begins with a program, so by its end."""
    with archive.open("rb") as file:
        head = file.read(tarfile.BLOCKSIZE)
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return True
    # The end alone is not enough: the last file of a tar may be a zip.
    return not compression(head) and not _is_tar(head) and zipfile.is_zipfile(archive)


def _is_tar(head: bytes) -> bool:
    try:
        tarfile.TarInfo.frombuf(head, "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return head[257:262] == b"ustar"
    return True


def _zip_entry(info: zipfile.ZipInfo) -> Entry:
    name = _zip_name(info)
    # Some Windows tools end a folder's name with a backslash.
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
    try:  # Without the flag, zipfile decodes code page 437, but most tools write UTF-8 without setting it.
        return info.orig_filename.encode("cp437").decode("utf-8")
    except UnicodeError:
        return info.orig_filename


def _zip_contents(archive: Path, places: Collection[int]) -> Iterator[tuple[int, IO[bytes]]]:
    with zipfile.ZipFile(archive) as opened:
        for place, info in enumerate(opened.infolist()):
            if place in places:
                with opened.open(info) as content:
                    yield place, content


def _tar_entries(stream: Bounded) -> Iterator[Entry]:
    with _open_tar(stream) as opened:
        for member in _members(opened):
            # A negative size would make tarfile read this header again, forever.
            if member.size < 0:
                raise InputError(repr(member.name[:80]), "a size of at least 0", member.size, "repack the archive")
            yield Entry(_tar_name(member), member.size, _tar_kind(member))
        # tarfile treats a damaged header as the end. The true end is a block of zeros.
        stream.seek(opened.offset)
        if stream.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
            raise tarfile.ReadError(f"no end mark after {opened.offset:,} bytes")
        stream.drain()


def _open_tar(stream: Bounded) -> tarfile.TarFile:
    # tarfile only reads, seeks and tells.
    return tarfile.open(fileobj=cast(BinaryIO, stream), mode="r:")


def _members(opened: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """Yield the members and clear tarfile's own list of them, which takes a kilobyte a member."""
    while (member := opened.next()) is not None:
        vars(opened)["members"].clear()
        yield member


def _tar_name(member: tarfile.TarInfo) -> str:
    try:
        return member.name.encode("utf-8", "surrogateescape").decode("utf-8")
    except UnicodeError:
        return member.name.encode("utf-8", "surrogateescape").decode("latin-1")


def _tar_kind(member: tarfile.TarInfo) -> str:
    if member.issparse():
        return "sparse file"
    types = {tarfile.DIRTYPE: "folder", tarfile.SYMTYPE: "symbolic link", tarfile.LNKTYPE: "hard link"}
    return types.get(member.type, "file" if member.isreg() else "device")


def _tar_contents(archive: Path, most: int, places: Collection[int]) -> Iterator[tuple[int, IO[bytes]]]:
    last = max(places, default=-1)
    with decompressed(archive, most) as stream, _open_tar(stream) as opened:
        for place, member in enumerate(_members(opened)):
            if place in places:
                content = opened.extractfile(member)
                assert content is not None
                yield place, content
            if place >= last:
                break
