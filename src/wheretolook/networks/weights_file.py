"""A safetensors file's header, held to the letter: what it names is all there is in the file, and nothing else is.

The library that loads the tensors checks less: it takes headers of 100 MB, and doubled keys.
"""

import json
import math
import re
from pathlib import Path
from typing import Any

from wheretolook.base.errors import InputError

# Bytes of a header: a card with a history of ten thousand epochs has less.
LONGEST_HEADER = 1 << 24
# How torch.save begins a file: a zip, or a pickle of protocol 2 on.
PYTORCH = (b"PK\x03\x04", b"\x80")
# Bytes of an element.
ITEM_SIZES = {
    "BOOL": 1, "U8": 1, "I8": 1, "F8_E4M3": 1, "F8_E5M2": 1, "U16": 2, "I16": 2, "F16": 2, "BF16": 2,
    "U32": 4, "I32": 4, "F32": 4, "U64": 8, "I64": 8, "F64": 8, "C64": 8,
}  # fmt: skip
NAME = re.compile(r"[\x21-\x7e]{1,500}")


def check_weights_file(path: Path) -> dict[str, tuple[int, ...]]:
    """Judge a safetensors file by its header alone.

    Returns:
        Each tensor's shape, by its name.

    Raises:
        InputError: no safetensors file; a header that is absurd, broken or has doubled keys; tensors that overlap or leave
            gaps; bytes missing from the end, or more of them than the tensors have.
    """
    size = path.stat().st_size
    header, start = _header(path, size)
    spans = []
    for name, entry in header.items():
        if name != "__metadata__":
            spans.append((*_span(path, name, entry), name))
    end = 0
    for begin, stop, name in sorted(spans):
        if begin != end:
            raise _refusal(path, f"tensors one after the other, found {name} at byte {begin} instead of {end}")
        end = stop
    if start + end != size:
        what = "cut short" if size < start + end else "with bytes beyond the tensors"
        raise _refusal(path, f"{start + end:,} bytes, found {size:,}: the file is {what}")
    return {name: tuple(entry["shape"]) for name, entry in header.items() if name != "__metadata__"}


def weights_metadata(path: Path) -> dict[str, str]:
    """The metadata of a safetensors file.

    Raises:
        InputError: a header that is absurd or broken.
    """
    return _header(path, path.stat().st_size)[0].get("__metadata__", {})


def is_weights_file(path: Path) -> bool:
    """Whether a file begins as safetensors does: the header's length, then JSON."""
    with path.open("rb") as file:
        head = file.read(9)
    return head[8:9] == b"{"


def _header(path: Path, size: int) -> tuple[dict[str, Any], int]:
    with path.open("rb") as file:
        head = file.read(8)
        length = int.from_bytes(head, "little")
        if head.startswith(PYTORCH) and length > LONGEST_HEADER:
            raise InputError(
                path,
                expected="a model file of this project",
                found="a file of PyTorch (.pt, .pth), which says neither architecture nor classes",
                hint="bring it in by an entry under `drive` in params.yaml",
            )
        if size < 8 or not 2 <= length <= min(LONGEST_HEADER, size - 8):
            found = f"{length:,} in a file of {size:,}" if size >= 8 else f"a file of {size} bytes"
            raise _refusal(path, f"a header of 2 to {LONGEST_HEADER:,} bytes, found {found}")
        text = file.read(length)
    try:
        header = json.loads(text, object_pairs_hook=_single, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise _refusal(path, f"a header in JSON, found a broken one ({str(error)[:200]})") from error
    if not isinstance(header, dict) or not _is_metadata(header.get("__metadata__", {})):
        raise _refusal(path, "a header that maps names to tensors, and text to text, found another")
    return header, 8 + length


def _span(path: Path, name: str, entry: Any) -> tuple[int, int]:
    """First byte and the byte after the last of a tensor, from the end of the header on."""
    if not NAME.fullmatch(name):
        raise _refusal(path, f"plain names of tensors, found {name[:80]!r}")
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise _refusal(path, f"dtype, shape and data_offsets of {name}, found {str(entry)[:80]}")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in ITEM_SIZES:
        raise _refusal(path, f"a type of {name} among {', '.join(ITEM_SIZES)}, found {str(dtype)[:40]!r}")
    if not _is_counts(shape) or not _is_counts(offsets) or len(offsets) != 2 or len(shape) > 16:
        raise _refusal(path, f"whole numbers as shape and data_offsets of {name}, found {str(entry)[:120]}")
    begin, stop = offsets
    if stop - begin != math.prod(shape) * ITEM_SIZES[dtype]:
        raise _refusal(path, f"{math.prod(shape) * ITEM_SIZES[dtype]:,} bytes of {name}, found {stop - begin:,}")
    return begin, stop


def _is_counts(value: Any) -> bool:
    # Numbers beyond what a file can hold would only slow the sums down.
    return isinstance(value, list) and all(type(n) is int and 0 <= n < 1 << 48 for n in value)


def _is_metadata(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(text, str) for text in value.values())


def _single(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({key for key, _ in pairs}) < len(pairs):
        raise ValueError("a doubled key")
    return dict(pairs)


def _no_constant(name: str) -> None:
    raise ValueError(f"the constant {name}")


def _refusal(path: Path, expected: str) -> InputError:
    return InputError(
        f"{path}: not a whole safetensors file", expected=expected, hint="train or fetch it again, or ask who made it"
    )
