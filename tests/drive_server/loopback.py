"""A server on loopback that stops by itself."""

import contextlib
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self
from urllib.parse import urlsplit

from tests.drive_server.served import Served, Tally, send_content, send_page


class Loopback:
    """An HTTP server on 127.0.0.1 for the length of a `with`.

    Attributes:
        tally: what it was asked, and what it sent.
        address: "http://127.0.0.1:PORT".
    """

    def __init__(self, handler: type[BaseHTTPRequestHandler]) -> None:
        self.tally = Tally()
        self.connections: set[socket.socket] = set()
        self.server = _Server(("127.0.0.1", 0), handler)
        self.server.owner = self
        self.address = f"http://127.0.0.1:{self.server.server_address[1]}"
        self._thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.tally.stop.set()
        self.server.shutdown()
        # A client keeps its connection open for the next request: hang up, or its thread would wait for that.
        for connection in list(self.connections):
            with contextlib.suppress(OSError):
                socket.socket.shutdown(connection, socket.SHUT_RDWR)
        self.server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = False
    owner: Loopback

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is part of the tests."""


class QuietHandler(BaseHTTPRequestHandler):
    """HTTP/1.1, without a log, and with small buffers: what was sent is near what was received."""

    protocol_version = "HTTP/1.1"
    timeout = 10

    def setup(self) -> None:
        self.request.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 16)
        self.server.owner.connections.add(self.request)
        super().setup()

    def finish(self) -> None:
        self.server.owner.connections.discard(self.connection)
        super().finish()

    def log_message(self, *_: object) -> None:
        pass


class Web(Loopback):
    """A plain web server: `files` by path."""

    def __init__(self, files: dict[str, Served]) -> None:
        super().__init__(_WebHandler)
        self.files = files

    def url(self, path: str) -> str:
        return f"{self.address}/{path}"


class _WebHandler(QuietHandler):
    def do_GET(self) -> None:
        web: Web = self.server.owner
        path = urlsplit(self.path).path.lstrip("/")
        web.tally.requests.append(path)
        served = web.files.get(path)
        if served is None:
            send_page(self, 404, "<html>Not Found</html>")
        elif served.statuses:
            headers = {"Retry_After": served.retry_after} if served.retry_after else {}
            headers |= {"Location": served.location or self.path} if 300 <= served.statuses[0] < 400 else {}
            send_page(self, served.statuses.pop(0), "<html>An answer</html>", **headers)
        elif served.kind == "page":
            send_page(self, 200, "<!DOCTYPE html><html>Please sign in to download</html>")
        else:
            if served.later:
                web.files[path] = served.later
            send_content(self, served, web.tally, attachment=False)
