"""Which device does the work. It is no parameter: it must not change what is computed, and re-runs nothing."""

import torch

from wheretolook.data.refusal import Refusal


def choose_device(name: str) -> torch.device:
    """The device called `name`; for an empty name CUDA, else MPS, else the CPU.

    Args:
        name: "", "cpu", "cuda", "cuda:1", "mps".

    Raises:
        Refusal: no such device on this machine.
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


def _refused(name: str) -> Refusal:
    found = [kind if i == 0 else f"{kind}:{i}" for kind in ("cuda", "mps", "cpu") for i in range(_count(kind))]
    return Refusal(
        f'device "{name}": expected one of {", ".join(found)}, which this machine has; '
        "set WHERETOLOOK_DEVICE or --device, or leave it empty to have one chosen"
    )
