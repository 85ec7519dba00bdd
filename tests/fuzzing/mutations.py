"""Bytes that were valid once, changed in ways that readers trip over."""

import random
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass

from hypothesis import strategies as st

# Lengths, counts and offsets that sums, casts and allocations go wrong at.
EDGES = (0, 1, 2, 127, 128, 255, 256, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 1 << 40, (1 << 63) - 1)

SEEDS = st.integers(0, (1 << 64) - 1)


@dataclass(frozen=True)
class Change:
    """One change: its kind, a place and a length (of the whole, in 0..1), a number, and some bytes."""

    kind: str
    place: float
    length: float
    number: int
    content: bytes


def apply(data: bytes, change: Change) -> bytes:
    """The bytes after one change."""
    place = int(change.place * len(data))
    end = min(len(data), place + 1 + int(change.length * 64))
    return KINDS[change.kind](data, place, end, change)


KINDS: dict[str, Callable[[bytes, int, int, Change], bytes]] = {
    "flip": lambda d, a, b, c: d[:a] + bytes([d[a] ^ (1 << c.number % 8)]) + d[a + 1 :] if a < len(d) else d,
    "byte": lambda d, a, b, c: d[:a] + bytes([c.number % 256]) + d[a + 1 :],
    "edge little": lambda d, a, b, c: _over(d, a, struct.pack("<Q", EDGES[c.number % len(EDGES)]), c),
    "edge big": lambda d, a, b, c: _over(d, a, struct.pack(">Q", EDGES[c.number % len(EDGES)]), c),
    "edge octal": lambda d, a, b, c: _over(d, a, b"%011o\0" % EDGES[c.number % len(EDGES)], c),
    "edge text": lambda d, a, b, c: d[:a] + str(EDGES[c.number % len(EDGES)]).encode() + d[b:],
    "minus": lambda d, a, b, c: d[:a] + b"-" + d[a:],
    "overwrite": lambda d, a, b, c: d[:a] + c.content + d[a + len(c.content) :],
    "insert": lambda d, a, b, c: d[:a] + c.content + d[a:],
    "delete": lambda d, a, b, c: d[:a] + d[b:],
    "double": lambda d, a, b, c: d[:b] + d[a:b] + d[b:],
    "cut": lambda d, a, b, c: d[:a],
    "swap": lambda d, a, b, c: d[:a] + d[a:b][::-1] + d[b:],
    "dots": lambda d, a, b, c: _over(d, a, b"../../", c),
    "slash": lambda d, a, b, c: d[:a] + b"/" + d[a + 1 :],
    "grow": lambda d, a, b, c: d + c.content * (1 + c.number % 64),
}


def _over(data: bytes, place: int, content: bytes, change: Change) -> bytes:
    # Fields have 2, 4 or 8 bytes, and text has more.
    content = content[: (2, 4, 8, len(content))[change.number % 4]]
    return data[:place] + content + data[place + len(content) :]


def draw_changes(draw: random.Random, most: int) -> list[Change]:
    """One to `most` changes, more of them at the beginning (headers) and at the end (a zip's directory)."""
    return [
        Change(
            kind=draw.choice(sorted(KINDS)),
            place=draw.choice([draw.uniform(0, 1), draw.uniform(0, 0.1), draw.uniform(0.7, 1)]),
            length=draw.random() ** 2,
            number=draw.randrange(1 << 16),
            content=draw.randbytes(draw.randrange(1, 12)),
        )
        for _ in range(draw.randint(1, most))
    ]


def mutated(originals: list[bytes], repair: Callable[[bytes], bytes]) -> st.SearchStrategy[bytes]:
    """One of the originals after one to six changes; half of the time with its checksums made good again.

    Hypothesis draws the seed alone: left to draw each change, it gives every third input twice.
    """

    def build(seed: int) -> bytes:
        draw = random.Random(seed)
        data = draw.choice(originals)
        for change in draw_changes(draw, 6):
            data = apply(data, change)
        return repair(data) if draw.random() < 0.5 else data

    return SEEDS.map(build)


def repair_tar(data: bytes) -> bytes:
    """The checksum of each header put right, so that the reader goes on to what the header says."""
    fixed = bytearray(data)
    for start in range(0, len(fixed) - 511, 512):
        if fixed[start + 257 : start + 262] == b"ustar":
            fixed[start + 148 : start + 156] = b" " * 8
            fixed[start + 148 : start + 156] = b"%06o\0 " % sum(fixed[start : start + 512])
    return bytes(fixed)


def repair_png(data: bytes) -> bytes:
    """The checksum of each chunk put right, as far as the lengths lead."""
    fixed, place = bytearray(data), 8
    while place + 12 <= len(fixed):
        length = struct.unpack_from(">I", fixed, place)[0]
        end = place + 8 + length
        if end + 4 > len(fixed):
            break
        struct.pack_into(">I", fixed, end, zlib.crc32(fixed[place + 4 : end]))
        place = end + 4
    return bytes(fixed)


def repair_weights(data: bytes) -> bytes:
    """The length of a safetensors header put right: to its last closing brace."""
    end = data.rfind(b"}}") + 2
    return struct.pack("<Q", end - 8) + data[8:] if end > 10 else data
