"""Choice of the device; deterministic algorithms in full float32 precision."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from wheretolook.base.errors import InputError


@contextmanager
def deterministic() -> Iterator[None]:
    """Use deterministic algorithms and full float32 precision in the block; restores the settings afterwards.

    Training, CAMs, scores and baselines run in this context, so that all have the same precision.

    Enter it before the first work on a CUDA device, since cuBLAS reads its workspace size only then. The debug mode is
    set directly, because `use_deterministic_algorithms` also imports PyTorch's compiler, which takes seconds.
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    before = torch.get_deterministic_debug_mode()
    settings: Any = torch.utils.deterministic
    filled = settings.fill_uninitialized_memory
    torch.set_deterministic_debug_mode("error")
    # Filling memory only helps to find reads of uninitialised memory, at the cost of writing every new tensor.
    settings.fill_uninitialized_memory = False
    try:
        with whole_float32():
            yield
    finally:
        settings.fill_uninitialized_memory = filled
        torch.set_deterministic_debug_mode(before)


@contextmanager
def whole_float32() -> Iterator[None]:
    """Compute convolutions on CUDA in float32, not in TF32 (10 of 23 mantissa bits), which is PyTorch's default.

    Matrix products are in float32 by default. Other devices have no TF32.
    """
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = before


def choose_device(name: str) -> torch.device:
    """The device `name`; for an empty name CUDA if available, else MPS, else the CPU.

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
        raise _unavailable(name) from error
    if (device.index or 0) >= _count(device.type):
        raise _unavailable(name)
    return device


def describe_device(device: torch.device) -> str:
    """Description of the device for output: "cpu (2 threads)", "cuda:0 (NVIDIA H100)"."""
    if device.type == "cuda":
        return f"{device} ({torch.cuda.get_device_name(device)})"
    if device.type == "cpu":
        threads = torch.get_num_threads()
        return f"cpu ({threads} thread{'s' if threads > 1 else ''})"
    return str(device)


def _count(kind: str) -> int:
    """Number of available devices of a kind."""
    if kind == "cuda":
        return torch.cuda.device_count() if torch.cuda.is_available() else 0
    if kind == "mps":
        return int(torch.backends.mps.is_available())
    return int(kind == "cpu")


def _unavailable(name: str) -> InputError:
    available = [kind if i == 0 else f"{kind}:{i}" for kind in ("cuda", "mps", "cpu") for i in range(_count(kind))]
    return InputError(
        f'device "{name}"',
        expected=f"one of {', '.join(available)}",
        found="a device that is not available",
        hint="set WHERETOLOOK_DEVICE or --device to one of them, or leave it empty for an automatic choice",
    )
