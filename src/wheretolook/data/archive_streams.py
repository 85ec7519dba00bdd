"""The bytes of a tar, out of whatever compresses it, with a limit on what it may grow to."""

import bz2
import gzip
import importlib
import lzma
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from wheretolook.data.refusal import Refusal

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
            raise Refusal(f"expected headers of at most {BLOCK:,} bytes, found one that claims {size:,}")
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
            raise Refusal(
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
    raise Refusal(
        "expected a compression that this Python reads, found Zstandard; "
        "use Python 3.14, install backports.zstd, or unpack it with `zstd -d` and give the .tar"
    )
