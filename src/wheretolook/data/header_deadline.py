"""A deadline for the headers of a response: a time-out of one read alone never ends where headers drip."""

import http.client
import io
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import urllib3

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
