"""A file from a path or a URL: an empty response or a missing file is an error, never something to pin."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from tests.drive_server.loopback import Web
from tests.drive_server.served import Served
from wheretolook.base.errors import InputError
from wheretolook.downloads.attempts import RetryPolicy
from wheretolook.downloads.obtain import PinnedFile, obtain

PATIENCE = RetryPolicy(timeout=2, retries=0, pause=0.01)


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with Web({}) as server:
        yield server


def refused(source: str, folder: Path) -> InputError:
    with pytest.raises(InputError) as caught:
        obtain(PinnedFile(source, "", "fetch.sha256"), folder / "cache", PATIENCE)
    return caught.value


class NoContent(BaseHTTPRequestHandler):
    """Responds with status 204."""

    def do_GET(self) -> None:
        self.send_response(204)
        self.end_headers()

    def log_message(self, *words: object) -> None:
        pass


@pytest.fixture
def no_content(web: Web) -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), NoContent) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/a.zip"
        thread.join()


def test_an_empty_response_is_no_file_to_pin(web: Web, no_content: str, tmp_path: Path) -> None:
    web.files["a.zip"] = Served(b"")
    for url in (web.url("a.zip"), no_content):
        error = refused(url, tmp_path)
        assert error.found == "an empty response" and "sha256" not in error.hint
    assert not list((tmp_path / "cache").rglob("content/*/*"))


def test_an_empty_file_is_none_to_pin_either(tmp_path: Path) -> None:
    (tmp_path / "a.zip").touch()
    assert refused(str(tmp_path / "a.zip"), tmp_path).found == "an empty file"


def test_a_relative_path_is_shown_as_it_was_looked_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    error = refused("../cells.zip", tmp_path)
    assert error.subject == "../cells.zip" and str(tmp_path.parent / "cells.zip") in error.found
    assert refused(f"{tmp_path}/cells.zip", tmp_path).found == "no such file"
