"""Independent calculations in two threads: numpy lets go of the interpreter while it works on large arrays."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

THREADS = 2  # more would hold more blocks in memory at once
Found = TypeVar("Found")


def side_by_side(wanted: Sequence[Callable[[], Found]]) -> list[Found]:
    """What each function gives, in their order; the result does not depend on the threads."""
    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(lambda function: function(), wanted))
