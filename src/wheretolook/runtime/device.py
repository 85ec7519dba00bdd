"""The same seed gives the same bytes on the same machine, and float32 is float32 on each."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from wheretolook.base.errors import InputError


@contextmanager
def deterministic() -> Iterator[None]:
    """Let PyTorch choose algorithms that give the same bits each time, in whole float32; as before when the block ends.

    What trains a network, takes its maps, judges them or makes their null runs in here: all at the same precision.

    Must be entered before the first work on a CUDA device, since cuBLAS reads its workspace's size only then.
    Set by the debug mode: `use_deterministic_algorithms` also imports PyTorch's compiler, a second or two, to tell it.
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    before = torch.get_deterministic_debug_mode()
    filled = torch.utils.deterministic.fill_uninitialized_memory
    torch.set_deterministic_debug_mode("error")
    # A help to find reads of memory that was never written: it costs a write of every new tensor.
    torch.utils.deterministic.fill_uninitialized_memory = False
    try:
        with whole_float32():
            yield
    finally:
        torch.utils.deterministic.fill_uninitialized_memory = filled
        torch.set_deterministic_debug_mode(before)


@contextmanager
def whole_float32() -> Iterator[None]:
    """On CUDA, convolutions in float32 as it is stored: PyTorch's default there is TF32, with 10 bits of 23.

    Matrix products are in float32 by PyTorch's own default; other devices know no TF32.
    """
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = before


def choose_device(name: str) -> torch.device:
    """The device called `name`; for an empty name CUDA, else MPS, else the CPU.

    Args:
        name: "", "cpu", "cuda", "cuda:1", "mps".

    Raises:
        InputError: no such device on this machine.
    """
    if not name:
        return torch.device(next(kind for kind in ("cuda", "mps", "cpu") if _count(kind)))
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise _refused(name) from error
    if (device.index or 0) >= _count(device.type):
        raise _refused(name)
    return device


def describe_device(device: torch.device) -> str:
    """The device in words, for a stage to say aloud: "cpu (2 threads)", "cuda:0 (NVIDIA H100)"."""
    if device.type == "cuda":
        return f"{device} ({torch.cuda.get_device_name(device)})"
    if device.type == "cpu":
        threads = torch.get_num_threads()
        return f"cpu ({threads} thread{'s' if threads > 1 else ''})"
    return str(device)


def _count(kind: str) -> int:
    """How many devices of a kind this machine has."""
    if kind == "cuda":
        return torch.cuda.device_count() if torch.cuda.is_available() else 0
    if kind == "mps":
        return int(torch.backends.mps.is_available())
    return int(kind == "cpu")


def _refused(name: str) -> InputError:
    found = [kind if i == 0 else f"{kind}:{i}" for kind in ("cuda", "mps", "cpu") for i in range(_count(kind))]
    return InputError(
        f'device "{name}"',
        expected=f"one of {', '.join(found)}, which this machine has",
        hint="set WHERETOLOOK_DEVICE or --device, or leave it empty to have one chosen",
    )
