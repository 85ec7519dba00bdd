"""What went wrong between here and a server, and what to do about it."""

import errno
import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests
import urllib3
from tqdm import tqdm

from wheretolook.base.files import write_json
from wheretolook.downloads.attempts import Failure, Patience, attempt, header_deadline

NO_NETWORK = "check the connection, and the proxy settings (HTTPS_PROXY, NO_PROXY); what came so far is kept"
# Bytes of the disk: what else runs on the machine goes on.
RESERVE = 1 << 28
RUN_AGAIN = "run it again: what came so far is kept and the rest is asked for"


def network_failure(error: requests.RequestException, url: str) -> Failure:
    """An exception of requests, told apart: no network, no answer in time, a bad certificate, a bad address."""
    host = urlsplit(url).hostname or url
    if isinstance(error, requests.exceptions.SSLError) and "CERTIFICATE_VERIFY_FAILED" in str(error):
        remedy = "check the clock and the certificates (REQUESTS_CA_BUNDLE); never switch the check off"
        return Failure(f"no trusted certificate of {host}", remedy)
    if isinstance(error, requests.exceptions.ProxyError):
        return Failure(f"no way to {host} through the proxy", NO_NETWORK, heals=True)
    if isinstance(error, requests.exceptions.ConnectTimeout):
        return Failure(f"no network to {host}: no connection in time", NO_NETWORK, heals=True)
    if isinstance(error, requests.exceptions.Timeout) or "timed out" in str(error).lower():
        return Failure(f"no answer from {host} in time", f"{RUN_AGAIN}, or raise `timeout`", heals=True)
    if isinstance(error, requests.exceptions.TooManyRedirects):
        return Failure("a link that leads in a circle", "open it in a browser, and use the address it ends at")
    if isinstance(error, requests.exceptions.ConnectionError) and _no_route(error):
        return Failure(f"no network: {host} cannot be reached", NO_NETWORK, heals=True)
    if isinstance(error, requests.exceptions.ConnectionError | requests.exceptions.ChunkedEncodingError):
        return Failure("a connection that was cut short", RUN_AGAIN, heals=True)
    return Failure(f"no usable address ({type(error).__name__})", "give the whole https:// link of the file")


def _no_route(error: Exception) -> bool:
    # A name that isn't resolved and a refused connection happen before a connection stands; a cut one, after.
    words = str(error)
    return any(sign in words for sign in ("NameResolutionError", "NewConnectionError", "Max retries exceeded"))


def status_failure(response: requests.Response) -> Failure | None:
    """What a status code says, or None where it is no failure."""
    status = response.status_code
    if status in (401, 403, 407):
        return Failure(f"a private file (HTTP {status})", "ask its owner to share it, or use a link that is public")
    if status in (404, 410):
        return Failure(f"a missing file (HTTP {status})", "check the address; the file may have been moved or deleted")
    if status == 429:
        return Failure("a throttled server (HTTP 429: too many requests)", "wait some minutes and run it again", True,
                       retry_after(response))  # fmt: skip
    if status in (408, 425) or status >= 500:
        return Failure(f"a server in trouble (HTTP {status})", "run it again later", True, retry_after(response))
    if status >= 300:
        return Failure(f"the answer HTTP {status}", "open the address in a browser, and use the one that it ends at")
    return None


def retry_after(response: requests.Response) -> float:
    """Seconds of a Retry-After header; 0 where there is none, or where it is a date."""
    value = response.headers.get("Retry-After", "")
    return float(value) if value.isascii() and value.isdigit() else 0.0


def disk_failure(error: OSError, folder: Path) -> Failure | None:
    """A full disk or quota, in words; None for any other error.

    Args:
        error: of a write.
        folder: holds what came so far.
    """
    if error.errno not in (errno.ENOSPC, errno.EDQUOT):
        return None
    return Failure("no space left on the disk", _room(folder))


def check_space(folder: Path, needed: int) -> None:
    """Refuse to begin what cannot end.

    Args:
        folder: holds what came so far.
        needed: bytes that are to come.

    Raises:
        Failure: fewer bytes are free where `folder` stands than are needed.
    """
    free = shutil.disk_usage(folder).free
    if needed > free:
        found = f"no space on the disk: {needed:,} bytes are to come, {free:,} are free"
        raise Failure(found, _room(folder))


def reserve_of(folder: Path) -> int:
    """Bytes that a file of unknown length has to leave free: it may have no end."""
    return min(RESERVE, shutil.disk_usage(folder).free // 2)


def check_reserve(folder: Path, reserve: int) -> None:
    """Stop a file of unknown length before the disk is full.

    Args:
        folder: holds what came so far.
        reserve: bytes that have to stay free.

    Raises:
        Failure: fewer are free.
    """
    free = shutil.disk_usage(folder).free
    if free < reserve:
        found = f"a file of no length that the server would name, no end yet, and {free:,} bytes free"
        raise Failure(found, _room(folder))


def _room(folder: Path) -> str:
    """How to go on, where the disk is full."""
    came = sum(path.stat().st_size for path in folder.iterdir() if path.is_file())
    kept = f"; if it is not meant to be that large, remove {folder}, which holds {came:,} bytes of it" if came else ""
    return f"free some and run it again: what came so far is kept{kept}"


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
        InputError: private, missing, throttled, no network, too slow, cut short, no end, no space; with what to do.
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
