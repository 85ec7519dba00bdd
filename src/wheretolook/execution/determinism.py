"""The same seed gives the same bytes on the same machine, and float32 is float32 on each."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch


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
