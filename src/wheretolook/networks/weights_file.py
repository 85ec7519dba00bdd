"""Strict validation of a safetensors header: the tensors must cover the rest of the file exactly.

The safetensors library is more lenient: it accepts headers of 100 MB, and duplicate keys.
"""

import json
import math
import re
from pathlib import Path
from typing import Any

from wheretolook.base.errors import InputError

# Limit of the header in bytes: more than a card with a history of ten thousand epochs.
LONGEST_HEADER = 1 << 24
# First bytes of a file from torch.save: a zip archive, or a pickle of protocol 2 or later.
PYTORCH = (b"PK\x03\x04", b"\x80")
# Bytes per element.
ITEM_SIZES = {
    "BOOL": 1, "U8": 1, "I8": 1, "F8_E4M3": 1, "F8_E5M2": 1, "U16": 2, "I16": 2, "F16": 2, "BF16": 2,
    "U32": 4, "I32": 4, "F32": 4, "U64": 8, "I64": 8, "F64": 8, "C64": 8,
}  # fmt: skip
NAME = re.compile(r"[\x21-\x7e]{1,500}")


def check_weights_file(path: Path) -> dict[str, tuple[int, ...]]:
    """Validate the header of a safetensors file; tensors are not read.

    Returns:
        Shape of each tensor by name.

    Raises:
        InputError: not a safetensors file; an invalid header, or one with duplicate keys; tensors that overlap or
            leave gaps; a file that is shorter or longer than its tensors.
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
            raise _damaged(path, f"{name} at byte {end}", f"byte {begin}")
        end = stop
    if start + end != size:
        reason = "truncated" if size < start + end else "bytes after the last tensor"
        raise _damaged(path, f"{start + end:,} bytes", f"{size:,} ({reason})")
    return {name: tuple(entry["shape"]) for name, entry in header.items() if name != "__metadata__"}


def weights_metadata(path: Path) -> dict[str, str]:
    """The metadata of a safetensors file.

    Raises:
        InputError: an invalid header.
    """
    return _header(path, path.stat().st_size)[0].get("__metadata__", {})


def is_weights_file(path: Path) -> bool:
    """Whether a file is safetensors, by its first bytes: the header's length, then JSON."""
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
                found="a PyTorch file (.pt, .pth), which does not record architecture and classes",
                hint="to import it, add an entry under `drive` in params.yaml",
            )
        if size < 8 or not 2 <= length <= min(LONGEST_HEADER, size - 8):
            found = f"{length:,} in a file of {size:,}" if size >= 8 else f"a file of {size} bytes"
            raise _damaged(path, f"a header of 2 to {LONGEST_HEADER:,} bytes", found)
        text = file.read(length)
    try:
        header = json.loads(text, object_pairs_hook=_single, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise _damaged(path, "a header in JSON", f"invalid JSON ({str(error)[:200]})") from error
    if not isinstance(header, dict) or not _is_metadata(header.get("__metadata__", {})):
        raise _damaged(path, "a header that maps tensor names to entries, and metadata of text", "another form")
    return header, 8 + length


def _span(path: Path, name: str, entry: Any) -> tuple[int, int]:
    """Begin and end (exclusive) of a tensor in bytes, relative to the end of the header."""
    if not NAME.fullmatch(name):
        raise _damaged(path, "tensor names of printable ASCII", repr(name[:80]))
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise _damaged(path, f"dtype, shape and data_offsets of {name}", str(entry)[:80])
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in ITEM_SIZES:
        raise _damaged(path, f"a dtype of {name} among {', '.join(ITEM_SIZES)}", repr(str(dtype)[:40]))
    if not _is_counts(shape) or not _is_counts(offsets) or len(offsets) != 2 or len(shape) > 16:
        raise _damaged(path, f"integers in shape and data_offsets of {name}", str(entry)[:120])
    begin, stop = offsets
    size = math.prod(shape) * ITEM_SIZES[dtype]
    if stop - begin != size:
        raise _damaged(path, f"{size:,} bytes of {name}", f"{stop - begin:,}")
    return begin, stop


def _is_counts(value: Any) -> bool:
    # The upper limit, beyond any file size, bounds the cost of the products.
    return isinstance(value, list) and all(type(n) is int and 0 <= n < 1 << 48 for n in value)


def _is_metadata(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(text, str) for text in value.values())


def _single(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({key for key, _ in pairs}) < len(pairs):
        raise ValueError("a duplicate key")
    return dict(pairs)


def _no_constant(name: str) -> None:
    raise ValueError(f"the constant {name}")


def _damaged(path: Path, expected: str, found: str) -> InputError:
    hint = "It is no complete safetensors file: train or download it again, or ask who made it"
    return InputError(path, expected, found, hint)
