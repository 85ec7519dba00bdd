"""What this process may use of its machine: cores and memory."""

import os
import sys
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")


def usable_cores() -> int:
    """Cores that this process may use: by its affinity (`taskset`) and its container's quota; at least 1."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(cores, _quota() or cores))


def free_memory() -> int:
    """Bytes that this process can still take: what the machine has free, within its own limit (`ulimit -v`)."""
    import psutil

    free = psutil.virtual_memory().available
    if sys.platform == "linux":
        import resource

        most = resource.getrlimit(resource.RLIMIT_AS)[0]
        if most != resource.RLIM_INFINITY:
            free = min(free, max(0, most - psutil.Process().memory_info().vms))
    return free


def _quota() -> int | None:
    """Cores of the container's quota, rounded up; None without one. cgroup version 2, then version 1."""
    try:
        quota, period = (CGROUP / "cpu.max").read_text().split()
    except (OSError, ValueError):
        try:
            quota, period = ((CGROUP / "cpu" / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period"))
        except OSError:
            return None
    try:
        return -(-int(quota) // int(period)) if int(quota) > 0 else None
    except (ValueError, ZeroDivisionError):
        return None
