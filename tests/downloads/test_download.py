"""Files by http(s), from a real server on loopback: resumed, validated, each failure with its own message."""

import hashlib
import os
import random
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.drive_server.loopback import Web
from tests.drive_server.served import Served
from wheretolook.base.errors import InputError
from wheretolook.downloads.attempts import RetryPolicy
from wheretolook.downloads.http import BLOCK, download
from wheretolook.downloads.obtain import ContentCache, PinnedFile, obtain

CONTENT = random.Random(0).randbytes(300_000)
PATIENT = RetryPolicy(timeout=2, retries=3, pause=0.001)
ONCE = RetryPolicy(timeout=0.3, retries=0, pause=0.01)  # for a server that stops responding
ONE_TRY = RetryPolicy(timeout=60, retries=0, pause=0.01)


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with Web({}) as server:
        yield server


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def get(url: str, folder: Path, policy: RetryPolicy = PATIENT, sha256: str | None = None) -> bytes:
    wanted = PinnedFile(url, digest(CONTENT) if sha256 is None else sha256, "fetch.sha256")
    return obtain(wanted, folder / "cache", policy).read_bytes()


def refused(url: str, folder: Path, policy: RetryPolicy = PATIENT, sha256: str | None = None) -> InputError:
    with pytest.raises(InputError) as caught:
        get(url, folder, policy, sha256)
    return caught.value


def finished(folder: Path) -> list[Path]:
    """Files under a final name: those of the cache, by content."""
    return [path for path in (folder / "cache" / "content").rglob("*") if path.is_file()]


def test_what_was_once_fetched_needs_no_network_again(web: Web, tmp_path: Path) -> None:
    web.files["a.zip"] = Served(CONTENT)
    assert get(web.url("a.zip"), tmp_path) == CONTENT
    requests = len(web.tally.requests)
    assert get(web.url("a.zip"), tmp_path) == CONTENT
    assert get("https://nowhere.invalid/other-address-of-the-same.zip", tmp_path) == CONTENT
    assert len(web.tally.requests) == requests == 1


def test_a_cached_file_that_was_altered_is_fetched_again(web: Web, tmp_path: Path) -> None:
    web.files["a.zip"] = Served(CONTENT)
    get(web.url("a.zip"), tmp_path)
    [kept] = finished(tmp_path)
    kept.chmod(0o644)
    kept.write_bytes(b"altered")
    assert get(web.url("a.zip"), tmp_path) == CONTENT


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("etag", ['"v1"', ""])
def test_cut_at_five_random_places_and_resumed_it_sends_no_byte_twice(
    seed: int, etag: str, web: Web, tmp_path: Path
) -> None:
    draw = random.Random(seed)
    cuts = [draw.randrange(1, 50_000) for _ in range(5)]
    web.files["a.zip"] = Served(CONTENT, cuts=cuts, etag=etag)
    assert get(web.url("a.zip"), tmp_path, RetryPolicy(2, 5, 0.001)) == CONTENT
    assert web.tally.body_bytes == len(CONTENT)


def test_a_run_that_gave_up_is_continued_by_the_next(web: Web, tmp_path: Path) -> None:
    web.files["a.zip"] = Served(CONTENT, cuts=[100_000], etag='"v1"')
    assert "broken connection" in refused(web.url("a.zip"), tmp_path, ONE_TRY).found
    assert finished(tmp_path) == []
    assert get(web.url("a.zip"), tmp_path, ONE_TRY) == CONTENT
    assert web.tally.ranges == ["", "bytes=100000-"]


def test_a_download_that_was_killed_is_continued(web: Web, tmp_path: Path) -> None:
    web.files["a.zip"] = Served(CONTENT, pause=0.05, etag='"v1"')
    code = (
        "from pathlib import Path; from wheretolook.downloads.attempts import RetryPolicy;"
        "from wheretolook.downloads.obtain import PinnedFile, obtain;"
        f"wanted = PinnedFile({web.url('a.zip')!r}, {digest(CONTENT)!r}, '');"
        f"obtain(wanted, Path({str(tmp_path / 'cache')!r}), RetryPolicy(9, 0))"
    )
    source = Path(__file__).parents[2] / "src"
    with subprocess.Popen([sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": str(source)}) as child:
        while sum(path.stat().st_size for path in tmp_path.rglob("content") if path.is_file()) < 100_000:
            time.sleep(0.01)
        child.kill()
    assert finished(tmp_path) == []
    web.files["a.zip"] = Served(CONTENT, etag='"v1"')
    assert get(web.url("a.zip"), tmp_path) == CONTENT
    start = int(web.tally.ranges[-1].removeprefix("bytes=").removesuffix("-"))
    assert 100_000 <= start < len(CONTENT)


def test_another_version_under_another_tag_is_not_joined_to_the_first(web: Web, tmp_path: Path) -> None:
    old = Served(CONTENT[::-1], cuts=[100_000], etag='"v1"', later=Served(CONTENT, etag='"v2"'))
    web.files["a.zip"] = old
    assert get(web.url("a.zip"), tmp_path) == CONTENT
    assert web.tally.ranges == ["", "bytes=100000-"]
    assert web.tally.body_bytes == 100_000 + len(CONTENT)


def test_another_version_without_a_tag_is_noticed_by_its_hash_and_fetched_whole(web: Web, tmp_path: Path) -> None:
    web.files["a.zip"] = Served(CONTENT[::-1], cuts=[100_000], later=Served(CONTENT))
    assert get(web.url("a.zip"), tmp_path) == CONTENT
    assert web.tally.ranges == ["", "bytes=100000-", ""]


def test_a_server_without_ranges_sends_all_of_it_again(web: Web, tmp_path: Path) -> None:
    web.files["a.zip"] = Served(CONTENT, cuts=[100_000], ranges=False)
    assert get(web.url("a.zip"), tmp_path) == CONTENT
    assert web.tally.body_bytes == 100_000 + len(CONTENT)


def test_a_download_that_was_whole_but_not_yet_moved_is_taken_as_it_is(web: Web, tmp_path: Path) -> None:
    web.files["a.zip"] = Served(CONTENT, etag='"v1"')
    (tmp_path / "content").write_bytes(CONTENT)
    assert download(web.url("a.zip"), tmp_path, ONE_TRY)
    assert (tmp_path / "content").read_bytes() == CONTENT
    assert web.tally.body_bytes == 0


def test_more_than_the_whole_is_thrown_away(web: Web, tmp_path: Path) -> None:
    web.files["a.zip"] = Served(CONTENT, etag='"v1"')
    (tmp_path / "content").write_bytes(CONTENT + b"more")
    download(web.url("a.zip"), tmp_path, PATIENT)
    assert (tmp_path / "content").read_bytes() == CONTENT


def test_a_body_without_a_length_is_taken_to_its_end(web: Web, tmp_path: Path) -> None:
    web.files["a.zip"] = Served(CONTENT, length=False)
    assert get(web.url("a.zip"), tmp_path) == CONTENT


# What the server sends; parts of the error's `found` and `hint`; requests.
FAILURES = {
    "private": (Served(statuses=[403] * 9), "HTTP 403", "ask the owner", 1),
    "login": (Served(statuses=[401] * 9), "HTTP 401", "ask the owner", 1),
    "missing": (Served(statuses=[404] * 9), "HTTP 404", "check the URL", 1),
    "gone": (Served(statuses=[410] * 9), "HTTP 410", "check the URL", 1),
    "too many requests": (Served(statuses=[429] * 9), "(too many requests) after 4 attempts", "wait a few minutes", 4),
    "server error": (Served(statuses=[503] * 9), "HTTP 503 (server error) after 4 attempts", "run it again later", 4),
    "long wait": (Served(statuses=[429] * 9, retry_after="3600"), "Retry-After: 3600 s", "wait a few minutes", 1),
    "redirect loop": (Served(statuses=[302] * 99), "redirect loop", "final address", 31),
    "nowhere": (Served(statuses=[302], location="http://[::1"), "redirect to an invalid URL", "open the link", 1),
    "page": (Served(kind="page"), "an HTML page", "open the link in a browser", 1),
    "cut": (Served(CONTENT, cuts=[1000] * 9), "after 4 attempts", "run it again: the download will be resumed", 4),
    "cut, no length": (Served(CONTENT, cuts=[1000] * 9, length=False), digest(CONTENT[:1000]), "ask who shared it", 1),
    "another": (Served(CONTENT[::-1]), digest(CONTENT[::-1]), f"`sha256: {digest(CONTENT[::-1])}`", 1),
    "too large": (Served(CONTENT, claim=1 << 60), "1,152,921,504,606,846,976 needed", "free disk space", 1),
}


@pytest.mark.parametrize("case", FAILURES)
def test_each_failure_says_which_it_was_and_leaves_no_file(case: str, web: Web, tmp_path: Path) -> None:
    served, found, hint, requests = FAILURES[case]
    served = Served(**(vars(served) | {"statuses": list(served.statuses), "cuts": list(served.cuts)}))
    web.files["a.zip"] = served
    error = refused(web.url("a.zip"), tmp_path)
    assert error.subject == web.url("a.zip")
    assert found in error.found and hint in error.hint
    assert len(web.tally.requests) == requests
    # A complete file is kept under its own hash, which is not the pinned one.
    assert ContentCache(tmp_path / "cache").get(digest(CONTENT)) is None


@pytest.mark.parametrize("statuses", [[429], [503, 500], [408]])
def test_a_passing_failure_is_retried(statuses: list[int], web: Web, tmp_path: Path) -> None:
    web.files["a.zip"] = Served(CONTENT, statuses=statuses)
    assert get(web.url("a.zip"), tmp_path) == CONTENT


def test_a_missing_checksum_is_printed_and_then_needs_no_second_download(web: Web, tmp_path: Path) -> None:
    web.files["a.zip"] = Served(CONTENT)
    error = refused(web.url("a.zip"), tmp_path, sha256="")
    assert error.found == "none" and f"`sha256: {digest(CONTENT)}`" in error.hint
    assert get(web.url("a.zip"), tmp_path) == CONTENT
    assert len(web.tally.requests) == 1


@pytest.mark.parametrize("wrong", ["abc", "A" * 64, "g" * 64, digest(b"") + "0"])
def test_what_cannot_be_a_checksum_is_refused_before_anything_is_fetched(wrong: str, web: Web, tmp_path: Path) -> None:
    assert refused(web.url("a.zip"), tmp_path, sha256=wrong).found == repr(wrong)
    assert web.tally.requests == []


def test_a_drip_is_no_progress(web: Web, tmp_path: Path) -> None:
    web.files["a.zip"] = Served(CONTENT, drip=0.02)
    assert "1024 bytes per second" in refused(web.url("a.zip"), tmp_path, ONCE).found


def test_a_silent_server_is_given_up_in_time(web: Web, tmp_path: Path) -> None:
    web.files["a.zip"] = Served(CONTENT, drip=0.6)
    assert "stopped responding" in refused(web.url("a.zip"), tmp_path, ONCE).found


def test_headers_that_drip_are_given_up_in_time(web: Web, tmp_path: Path) -> None:
    web.files["a.zip"] = Served(CONTENT, header_drip=0.1)
    began = time.monotonic()
    assert "no response from 127.0.0.1" in refused(web.url("a.zip"), tmp_path, ONCE).found
    assert time.monotonic() - began < 2
    # A body may take longer than its headers may.
    web.files["b.zip"] = Served(CONTENT, pause=0.03)
    assert get(web.url("b.zip"), tmp_path, ONCE) == CONTENT


def test_no_network_is_called_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        error = refused(f"http://127.0.0.1:{taken.getsockname()[1]}/a.zip", tmp_path)
    assert "no connection to 127.0.0.1" in error.found and "check the connection" in error.hint


def test_a_full_disk_is_called_so(web: Web, tmp_path: Path) -> None:
    web.files["a.zip"] = Served(CONTENT)
    # Writing there ends as writing to a full disk does.
    (tmp_path / "content").symlink_to("/dev/full")
    with pytest.raises(InputError) as caught:
        download(web.url("a.zip"), tmp_path, ONCE)
    assert caught.value.found == "a full disk" and "free disk space" in caught.value.hint


def test_a_body_without_an_end_leaves_the_disk_some_room_and_says_what_fills_it(
    web: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def usage(folder: Path) -> SimpleNamespace:
        content = tmp_path / "content"
        return SimpleNamespace(free=400_000 - (content.stat().st_size if content.exists() else 0))

    monkeypatch.setattr(shutil, "disk_usage", usage)
    web.files["a.zip"] = Served(CONTENT, length=False)
    with pytest.raises(InputError, match=rf"remove the partial download {tmp_path} \(\d+,\d+ bytes\)") as caught:
        download(web.url("a.zip"), tmp_path, PATIENT)
    assert "unknown length" in caught.value.found and "will be resumed" in caught.value.hint
    assert 100_000 < (tmp_path / "content").stat().st_size <= 200_000 + BLOCK
    assert len(web.tally.requests) == 1


def test_a_disk_full_of_earlier_downloads_is_an_error_that_names_the_folder(
    web: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    web.files["a.zip"] = Served(CONTENT)
    (tmp_path / "content").write_bytes(CONTENT[:5000])
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=10))
    with pytest.raises(InputError) as caught:
        download(web.url("a.zip"), tmp_path, ONCE)
    assert "10 free bytes" in caught.value.found
    assert f"remove the partial download {tmp_path} (5,000 bytes)" in caught.value.hint


@pytest.mark.parametrize("url", ["https://", "http://[::1", "https://exa mple.invalid:x/"])
def test_what_is_no_address_is_refused(url: str, tmp_path: Path) -> None:
    found = refused(url, tmp_path, ONCE).found
    assert found == "no host" or found.startswith("an invalid URL")


def test_a_local_file_is_held_to_its_checksum_too(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(CONTENT)
    assert get(str(path), tmp_path) == CONTENT
    assert refused(str(path), tmp_path, sha256="0" * 64).found == digest(CONTENT)
    assert refused(str(tmp_path / "gone.zip"), tmp_path, sha256="1" * 64).found == "no such file"
