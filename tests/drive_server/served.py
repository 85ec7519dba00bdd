"""What a server of the tests gives out, and the ways in which it misbehaves."""

import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler

BLOCK = 1 << 14


@dataclass
class Served:
    """A file, and how it is served.

    Attributes:
        content: its bytes.
        name: as the server calls it.
        kind: of the answer: "file", or one of Drive's pages ("virus scan", "quota", "private", "missing", "page").
        statuses: answered first, one a request, with no file.
        retry_after: the header that comes with those.
        location: where those of them that redirect lead; "" for the same address.
        cuts: of each request for the body in turn: bytes after which the connection is closed.
        drip: seconds of pause after each byte.
        header_drip: seconds of pause after each of sixty headers.
        pause: seconds after each block.
        ranges: whether a Range is honoured.
        etag: of this content; "" for none.
        length: whether Content-Length is sent; without it the body ends with the connection.
        claim: Content-Length in place of the true one.
        later: served in place of this one from the second request for the body on.
    """

    content: bytes = b""
    name: str = "model.safetensors"
    kind: str = "file"
    statuses: list[int] = field(default_factory=list)
    retry_after: str = ""
    location: str = ""
    cuts: list[int] = field(default_factory=list)
    drip: float = 0.0
    header_drip: float = 0.0
    pause: float = 0.0
    ranges: bool = True
    etag: str = ""
    length: bool = True
    claim: int = 0
    later: "Served | None" = None


@dataclass
class Tally:
    """What a server was asked, and what it sent."""

    requests: list[str] = field(default_factory=list)
    ranges: list[str] = field(default_factory=list)
    body_bytes: int = 0
    stop: threading.Event = field(default_factory=threading.Event)


def send_page(handler: BaseHTTPRequestHandler, status: int, page: str, **headers: str) -> None:
    """Answer with an HTML page."""
    body = page.encode()
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.send_header("Content-Type", "text/html; charset=utf-8")
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


def send_content(handler: BaseHTTPRequestHandler, served: Served, tally: Tally, attachment: bool) -> None:
    """Answer with the file, or with that much of it that this request gets."""
    start = _start(handler, served)
    tally.ranges.append(handler.headers.get("Range", ""))
    if start is not None and start >= len(served.content):
        handler.send_response(416)
        handler.send_header("Content-Range", f"bytes */{len(served.content)}")
        handler.send_header("Content-Length", "0")
        handler.end_headers()
        return
    body = served.content[start or 0 :]
    handler.send_response(200 if start is None else 206)
    if start is not None:
        total = len(served.content)
        handler.send_header("Content-Range", f"bytes {start}-{total - 1}/{total}")
    _drip_headers(handler, served, tally)
    _send_headers(handler, served, len(body), attachment)
    _send_body(handler, served, body, tally)


def _start(handler: BaseHTTPRequestHandler, served: Served) -> int | None:
    wanted = handler.headers.get("Range", "")
    same = handler.headers.get("If-Range", served.etag) == served.etag
    return int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and served.ranges and same else None


def _drip_headers(handler: BaseHTTPRequestHandler, served: Served, tally: Tally) -> None:
    for number in range(60 if served.header_drip else 0):
        handler.send_header(f"X-{number}", "y")
        handler.flush_headers()
        tally.stop.wait(served.header_drip)


def _send_headers(handler: BaseHTTPRequestHandler, served: Served, length: int, attachment: bool) -> None:
    handler.send_header("Content-Type", "application/octet-stream")
    if attachment:
        handler.send_header("Content-Disposition", f'attachment; filename="{served.name}"')
    if served.etag:
        handler.send_header("ETag", served.etag)
    if served.length:
        handler.send_header("Content-Length", str(served.claim or length))
    else:
        handler.send_header("Connection", "close")
        handler.close_connection = True
    handler.end_headers()


def _send_body(handler: BaseHTTPRequestHandler, served: Served, body: bytes, tally: Tally) -> None:
    cut = served.cuts.pop(0) if served.cuts else len(body)
    step = 1 if served.drip else BLOCK
    for begin in range(0, min(cut, len(body)), step):
        if tally.stop.is_set():
            break
        block = body[begin : min(begin + step, cut)]
        handler.wfile.write(block)
        tally.body_bytes += len(block)
        if served.drip or served.pause:
            tally.stop.wait(served.drip or served.pause)
    if cut < len(body) or served.claim:
        handler.close_connection = True
