"""Strict validation of safetensors headers."""

import json
import struct
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from wheretolook.base.errors import InputError
from wheretolook.networks.weights_file import check_weights_file, is_weights_file, weights_metadata

ONE = {"w": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}


def write(path: Path, header: object, body: bytes = bytes(8)) -> Path:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + body)
    return path


def tensor(begin: int, end: int, **changes: object) -> dict[str, object]:
    return {"dtype": "F32", "shape": [(end - begin) // 4], "data_offsets": [begin, end]} | changes


def test_what_the_library_writes_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    save_file({"a.weight": torch.ones(2, 3), "b": torch.tensor(1), "e": torch.ones(0)}, path, metadata={"k": "v"})
    assert check_weights_file(path) == {"a.weight": (2, 3), "b": (), "e": (0,)}
    assert weights_metadata(path) == {"k": "v"}
    assert is_weights_file(path)


FAULTS = {
    "empty": (b"", "a file of 0 bytes"),
    "too short": (b"1234", "a file of 4 bytes"),
    "absurd header": (struct.pack("<Q", 1 << 60) + b"{}", "in a file of"),
    "header longer than the file": (struct.pack("<Q", 1000) + b"{}", "1,000 in a file of 10"),
    "no header": (struct.pack("<Q", 0), "in a file of"),
    "no JSON": ((b"{nope}", b""), "invalid JSON"),
    "not UTF-8": ((b'{"\xff": 1}', b""), "invalid JSON"),
    "a list": (([], b""), "another form"),
    "nested without end": ((b"[" * 100_000, b""), "invalid JSON"),
    "NaN": ((b'{"w": NaN}', b""), "the constant NaN"),
    "a duplicate key": ((b'{"w": {}, "w": {}}', b""), "a duplicate key"),
    "metadata of numbers": (({"__metadata__": {"a": 1}}, b""), "another form"),
    "bytes beyond the tensors": ((ONE, bytes(9)), "bytes after the last tensor"),
    "cut short": ((ONE, bytes(7)), "truncated"),
    "a gap": (({"a": tensor(0, 8), "b": tensor(12, 16)}, bytes(16)), "byte 12"),
    "an overlap": (({"a": tensor(0, 8), "b": tensor(4, 12)}, bytes(12)), "byte 4"),
    "a late start": (({"a": tensor(4, 8)}, bytes(8)), "byte 4"),
    "wrong size": (({"a": tensor(0, 8, shape=[3])}, bytes(8)), "8"),
    "backwards": (({"a": tensor(8, 0, shape=[0])}, bytes(8)), "-8"),
    "unknown type": (({"a": tensor(0, 8, dtype="F31")}, bytes(8)), "'F31'"),
    "a type that is no text": (({"a": tensor(0, 8, dtype=["F32"])}, bytes(8)), "['F32']"),
    "negative shape": (({"a": tensor(0, 8, shape=[-2])}, bytes(8)), "shape"),
    "fractional shape": (({"a": tensor(0, 8, shape=[2.0])}, bytes(8)), "shape"),
    "boolean shape": (({"a": tensor(0, 4, shape=[True])}, bytes(4)), "shape"),
    "huge shape": (({"a": tensor(0, 8, shape=[1 << 60, 0])}, bytes(8)), "shape"),
    "many dimensions": (({"a": tensor(0, 4, shape=[1] * 17)}, bytes(4)), "shape"),
    "one offset": (({"a": tensor(0, 8, data_offsets=[0])}, bytes(8)), "shape"),
    "another key": (({"a": tensor(0, 8, code="x")}, bytes(8)), "code"),
    "no entry": (({"a": None}, b""), "None"),
    "a name with a line end": (({"a\n": tensor(0, 8)}, bytes(8)), r"'a\n'"),
}


@pytest.mark.parametrize("case", FAULTS)
def test_each_fault_is_refused(case: str, tmp_path: Path) -> None:
    made, found = FAULTS[case]
    path = tmp_path / "m.safetensors"
    if isinstance(made, bytes):
        path.write_bytes(made)
    else:
        write(path, *made)
    with pytest.raises(InputError) as refused:
        check_weights_file(path)
    assert refused.value.subject == str(path) and found in refused.value.found


@pytest.mark.parametrize("case", ["bytes beyond the tensors", "an overlap", "a gap", "a duplicate key"])
def test_the_library_refuses_most_of_these_too(case: str, tmp_path: Path) -> None:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    path = write(tmp_path / "m.safetensors", *FAULTS[case][0])
    with pytest.raises(SafetensorError):
        load_file(path)


def test_a_pytorch_file_is_recognised_and_the_hint_says_how_to_import_it(tmp_path: Path) -> None:
    torch.save({"weight": torch.zeros(2)}, tmp_path / "mine.pth")
    with pytest.raises(InputError, match=r"found a PyTorch file .* add an entry under `drive` in params.yaml"):
        check_weights_file(tmp_path / "mine.pth")
