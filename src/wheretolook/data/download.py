"""Files by http(s): resumed by Range, held to their ETag, never endless."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import requests
import urllib3
from tqdm import tqdm

from wheretolook.data.atomic import write_json
from wheretolook.data.attempts import Failure, Patience, attempt
from wheretolook.data.download_failures import (
    RUN_AGAIN,
    check_reserve,
    check_space,
    disk_failure,
    network_failure,
    reserve_of,
    status_failure,
)
from wheretolook.data.header_deadline import header_deadline

BLOCK = 1 << 16
# Fewer bytes a second, over a whole time-out, count as none at all: a drip must not hold a pipeline for days.
SLOWEST = 1024


def download(url: str, folder: Path, patience: Patience) -> bool:
    """Bring the body of a URL, in as many attempts as `patience` allows, each going on where the last one ended.

    Args:
        url: http or https.
        folder: holds what came so far (`content`) and how the server named that version (`version.json`).
        patience: time-out, retries, pauses.

    Returns:
        Whether `folder/content`, now whole by the server's own count, was joined of more than one piece. Its bytes
        are not to be believed before they were hashed.

    Raises:
        Refusal: private, missing, throttled, no network, too slow, cut short, no end, no space; with what to do.
    """
    with header_deadline(), requests.Session() as session:
        return attempt(lambda: _attempt(session, url, folder, patience), url, patience)


def _attempt(session: requests.Session, url: str, folder: Path, patience: Patience) -> bool:
    content = folder / "content"
    offset = content.stat().st_size if content.exists() else 0
    try:
        with _asked(session, url, _headers(folder, offset), patience) as response:
            if _is_whole(response, offset):
                return True
            _forget_another_version(response, content, offset)
            if failure := status_failure(response):
                raise failure
            offset = offset if response.status_code == 206 else 0
            _receive(response, folder, offset, patience)
            return offset > 0
    except requests.RequestException as error:
        raise network_failure(error, url) from error
    except OSError as error:
        raise disk_failure(error, folder) or error from error


def _asked(session: requests.Session, url: str, headers: dict[str, str], patience: Patience) -> requests.Response:
    """The answer at the end of all redirects, without its body."""
    try:
        return session.get(url, headers=headers, stream=True, timeout=patience.timeout)
    except requests.RequestException:
        raise
    except ValueError as error:
        # Where a redirect leads is parsed by Python, and its errors come through.
        found = f"a redirect to what is no address ({error})"
        raise Failure(found, "open the link in a browser, and use the address it ends at") from error


def _headers(folder: Path, offset: int) -> dict[str, str]:
    # Byte offsets are of the file, not of a compressed transfer of it.
    headers = {"Accept-Encoding": "identity"}
    if offset:
        headers["Range"] = f"bytes={offset}-"
        version = _version(folder)
        if validator := version.get("etag") or version.get("modified"):
            headers["If-Range"] = validator
    return headers


def _version(folder: Path) -> dict[str, Any]:
    path = folder / "version.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def _is_whole(response: requests.Response, offset: int) -> bool:
    # Asked for what comes after the last byte, a server answers 416 with the length.
    return response.status_code == 416 and response.headers.get("Content-Range") == f"bytes */{offset}"


def _forget_another_version(response: requests.Response, content: Path, offset: int) -> None:
    """Drop what came so far where the server can't go on from it."""
    starts = response.headers.get("Content-Range", "").startswith(f"bytes {offset}-")
    if response.status_code == 416 or (response.status_code == 206 and not starts):
        content.unlink(missing_ok=True)
        raise Failure("another version of the file than the part that came before", RUN_AGAIN, heals=True)


def _receive(response: requests.Response, folder: Path, offset: int, patience: Patience) -> None:
    left = response.headers.get("Content-Length", "")
    expected = int(left) if left.isascii() and left.isdigit() else None
    check_space(folder, expected or 0)
    tag = response.headers.get("ETag", "")
    # A weak tag vouches for the meaning, not for the bytes: no ground to join two halves on.
    version = {"etag": "" if tag.startswith("W/") else tag, "modified": response.headers.get("Last-Modified", "")}
    write_json(folder / "version.json", version)
    reserve = reserve_of(folder) if expected is None else 0
    with (
        (folder / "content").open("ab" if offset else "wb") as file,
        _bar(response.url, offset, expected) as bar,
    ):
        received = _copy(response, file, bar, patience, lambda: check_reserve(folder, reserve))
    if expected is not None and received < expected:
        raise Failure(f"a file cut short ({offset + received:,} of {offset + expected:,} bytes)", RUN_AGAIN, heals=True)


def _bar(url: str, offset: int, expected: int | None) -> tqdm:
    total = None if expected is None else offset + expected
    name = url.partition("?")[0].rstrip("/").rpartition("/")[2]
    return tqdm(total=total, initial=offset, desc=name, unit="B", unit_scale=True, disable=None)


def _copy(response: requests.Response, file: Any, bar: tqdm, patience: Patience, check_disk: Callable[[], None]) -> int:
    received = before = 0
    began = time.monotonic()
    try:
        while block := response.raw.read1(BLOCK, decode_content=False):
            check_disk()
            file.write(block)
            bar.update(len(block))
            received += len(block)
            now = time.monotonic()
            if now - began >= patience.timeout:
                if received - before < SLOWEST * patience.timeout:
                    raise Failure(f"a server slower than {SLOWEST} bytes a second", RUN_AGAIN, heals=True)
                began, before = now, received
    except urllib3.exceptions.ReadTimeoutError as error:
        raise Failure("a server that fell silent", f"{RUN_AGAIN}, or raise `timeout`", heals=True) from error
    except urllib3.exceptions.HTTPError as error:
        found = f"a file cut short after {received:,} bytes"
        raise Failure(found, RUN_AGAIN, heals=True) from error
    return received
