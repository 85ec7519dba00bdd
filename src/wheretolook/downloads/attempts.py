"""Bounded attempts: what can heal is tried again after a growing pause, what cannot is not."""

import http.client
import io
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import urllib3

from wheretolook.base.display import redacted
from wheretolook.base.errors import InputError

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
        InputError: the last `Failure`, in words: the source, what was found, the remedy.
    """
    for tried in range(1, patience.retries + 2):
        try:
            return once()
        except Failure as failure:
            pause = max(min(patience.pause * 2 ** (tried - 1), LONGEST_PAUSE), failure.wait)
            if not failure.heals or tried > patience.retries or pause > LONGEST_PAUSE:
                raise InputError(_in_words(source, failure, tried)) from failure
            again = f"attempt {tried + 1} in {pause:.1f} s"
            print(redacted(f"{source}: {failure.found}; {again}"), file=sys.stderr)
            time.sleep(pause)
    raise AssertionError("the last attempt returns or raises")


def _in_words(source: str, failure: Failure, tried: int) -> str:
    times = f", in {tried} attempts" if tried > 1 else ""
    asked = f" (the server asks to wait {failure.wait:.0f} s)" if failure.wait > LONGEST_PAUSE else ""
    return f"{source}: expected the file, found {failure.found}{times}{asked}; {failure.remedy}"


_lock = threading.Lock()
_users = 0


@contextmanager
def header_deadline() -> Iterator[None]:
    """Within the block, the status line and the headers of each response must arrive within the time-out as a whole.

    This holds for every connection of urllib3: those of requests, those of gdown, and through a proxy. The class that
    reads a response is an attribute of the connection class of `http.client`; it is set on urllib3's here, and taken
    off where the last block ends.
    """
    global _users
    connection: Any = urllib3.connection.HTTPConnection
    with _lock:
        _users += 1
        connection.response_class = _Response
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            if not _users:
                del connection.response_class


class _Response(http.client.HTTPResponse):
    """A response that raises TimeoutError once its headers take longer than the time-out of its socket."""

    def __init__(self, sock: socket.socket, *rest: Any, **named: Any) -> None:
        super().__init__(sock, *rest, **named)
        self._timed = _Timed(sock, self.fp.detach())
        self.fp = io.BufferedReader(self._timed)

    def begin(self) -> None:
        super().begin()
        self._timed.stop()


class _Timed(io.RawIOBase):
    """The bytes of a socket; until `stop`, all reads together take no longer than one may."""

    def __init__(self, sock: socket.socket, raw: io.RawIOBase) -> None:
        super().__init__()
        self._sock, self._raw = sock, raw
        self._timeout = sock.gettimeout()
        self._deadline = None if self._timeout is None else time.monotonic() + self._timeout

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if self._deadline is not None:
            left = self._deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError("timed out in the headers")
            self._sock.settimeout(left)
        return self._raw.readinto(buffer)

    def stop(self) -> None:
        """The headers are here: from now on the time-out is of each read again."""
        if self._deadline is not None:
            self._deadline = None
            self._sock.settimeout(self._timeout)

    def close(self) -> None:
        self._raw.close()
        super().close()
