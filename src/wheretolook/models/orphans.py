"""A process that another one started ends with it, however that one ends."""

import ctypes
import signal
import sys

_PR_SET_PDEATHSIG = 1


def end_with_parent() -> None:
    """Have the kernel end this process when its parent dies, on Linux; elsewhere do nothing.

    torchrun ends its workers when it is told to end, but not when it is killed outright: they would go on writing
    while the next run already writes the same files.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
