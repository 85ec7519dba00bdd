"""Timeouts and retries of downloads: retryable failures are retried with exponential backoff, others are not."""

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

from wheretolook.base.errors import InputError, redacted

Result = TypeVar("Result")

# Longest pause in seconds. If a server's Retry-After is longer, the download fails at once and says so.
LONGEST_PAUSE = 60.0


@dataclass(frozen=True)
class RetryPolicy:
    """Timeout and retries of a download.

    Attributes:
        timeout: seconds without a response, or without progress, after which an attempt fails.
        retries: number of attempts after the first.
        pause: seconds before the first retry; doubled before each further retry, up to `LONGEST_PAUSE`.
    """

    timeout: float
    retries: int
    pause: float = 0.5


class Failure(Exception):
    """One failed attempt.

    Attributes:
        found: what went wrong, as a noun phrase.
        hint: what the user can do about it.
        retryable: whether another attempt may succeed (too many requests, a server error, a broken connection).
        wait: seconds of the server's Retry-After header; 0 without one.
    """

    def __init__(self, found: str, hint: str, retryable: bool = False, wait: float = 0.0) -> None:
        super().__init__(found)
        self.found, self.hint, self.retryable, self.wait = found, hint, retryable, wait


def attempt(once: Callable[[], Result], source: str, policy: RetryPolicy) -> Result:
    """Call `once` until it succeeds, fails with an error that is not retryable, or no retries are left.

    Args:
        once: makes one attempt; raises `Failure`.
        source: what a message names.
        policy: timeout, retries, pauses.

    Raises:
        InputError: the last failure.
    """
    for number in range(1, policy.retries + 2):
        try:
            return once()
        except Failure as failure:
            pause = max(min(policy.pause * 2 ** (number - 1), LONGEST_PAUSE), failure.wait)
            if not failure.retryable or number > policy.retries or pause > LONGEST_PAUSE:
                attempts = f" after {number} attempts" if number > 1 else ""
                wait = f" (Retry-After: {failure.wait:.0f} s)" if failure.wait > LONGEST_PAUSE else ""
                raise InputError(source, "a file", f"{failure.found}{attempts}{wait}", failure.hint) from failure
            print(redacted(f"{source}: {failure.found}; attempt {number + 1} in {pause:.1f} s"), file=sys.stderr)
            time.sleep(pause)
    raise AssertionError("the last attempt returns or raises")


_lock = threading.Lock()
_users = 0


@contextmanager
def header_deadline() -> Iterator[None]:
    """Within the block, status line and headers of each response must arrive within the timeout in total.

    The timeout of requests is per read, so that a server which sends single bytes never exceeds it. This applies to all
    connections of urllib3: of requests, of gdown, and through a proxy. It sets the attribute `response_class` of
    urllib3's connection class, and removes it when the last block ends.
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
    """A response that raises TimeoutError if its headers take longer than the timeout of its socket."""

    def __init__(self, sock: socket.socket, *rest: Any, **named: Any) -> None:
        super().__init__(sock, *rest, **named)
        self._timed = _Timed(sock, self.fp.detach())
        self.fp = io.BufferedReader(self._timed)

    def begin(self) -> None:
        super().begin()
        self._timed.stop()


class _Timed(io.RawIOBase):
    """The bytes of a socket. Until `stop`, the timeout applies to all reads together."""

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
        """The headers are complete: from now on the timeout applies to each read."""
        if self._deadline is not None:
            self._deadline = None
            self._sock.settimeout(self._timeout)

    def close(self) -> None:
        self._raw.close()
        super().close()
