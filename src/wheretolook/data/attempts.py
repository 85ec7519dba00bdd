"""Bounded attempts: what can heal is tried again after a growing pause, what cannot is not."""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from wheretolook.data.refusal import Refusal
from wheretolook.redaction import redacted

Result = TypeVar("Result")

# No pause is longer, in seconds: a server that asks for more is left alone, and the user is told.
LONGEST_PAUSE = 60.0


@dataclass(frozen=True)
class Patience:
    """How patient a download is.

    Attributes:
        timeout: seconds without an answer, or without progress, after which an attempt has failed.
        retries: attempts after the first.
        pause: seconds before the first retry; each further pause is twice as long, up to `LONGEST_PAUSE`.
    """

    timeout: float
    retries: int
    pause: float = 0.5


class Failure(Exception):
    """One attempt that failed: what was found, what to do about it, and whether waiting may help.

    Attributes:
        heals: another attempt may succeed (too many requests, a server's fault, a cut connection).
        wait: seconds that the server asked to wait.
    """

    def __init__(self, found: str, remedy: str, heals: bool = False, wait: float = 0.0) -> None:
        super().__init__(found)
        self.found, self.remedy, self.heals, self.wait = found, remedy, heals, wait


def attempt(once: Callable[[], Result], source: str, patience: Patience) -> Result:
    """Call `once` until it succeeds, fails for good, or the retries are used up.

    Raises:
        Refusal: the last `Failure`, in words: the source, what was found, the remedy.
    """
    for tried in range(1, patience.retries + 2):
        try:
            return once()
        except Failure as failure:
            pause = max(min(patience.pause * 2 ** (tried - 1), LONGEST_PAUSE), failure.wait)
            if not failure.heals or tried > patience.retries or pause > LONGEST_PAUSE:
                raise Refusal(_in_words(source, failure, tried)) from failure
            again = f"attempt {tried + 1} in {pause:.1f} s"
            print(redacted(f"{source}: {failure.found}; {again}"), file=sys.stderr)
            time.sleep(pause)
    raise AssertionError("the last attempt returns or raises")


def _in_words(source: str, failure: Failure, tried: int) -> str:
    times = f", in {tried} attempts" if tried > 1 else ""
    asked = f" (the server asks to wait {failure.wait:.0f} s)" if failure.wait > LONGEST_PAUSE else ""
    return f"{source}: expected the file, found {failure.found}{times}{asked}; {failure.remedy}"
