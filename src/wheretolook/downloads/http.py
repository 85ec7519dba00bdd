"""Downloads by HTTP: resumable, bounded in time and disk space, with a reason and a hint for each failure."""

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
from wheretolook.downloads.attempts import Failure, RetryPolicy, attempt, header_deadline

CHECK_CONNECTION = "check the connection and the proxy settings (HTTPS_PROXY, NO_PROXY); the download will be resumed"
# Bytes of the disk left free for other programs.
RESERVE = 1 << 28
RUN_AGAIN = "run it again: the download will be resumed"
RAISE_TIMEOUT = "run it again, with a longer timeout if needed: the download will be resumed"


def network_failure(error: requests.RequestException, url: str) -> Failure:
    """Classify an exception of requests: no connection, timeout, untrusted certificate, invalid URL."""
    host = urlsplit(url).hostname or url
    if isinstance(error, requests.exceptions.SSLError) and "CERTIFICATE_VERIFY_FAILED" in str(error):
        hint = "check the clock and the certificates (REQUESTS_CA_BUNDLE); do not disable verification"
        return Failure(f"an untrusted certificate of {host}", hint)
    if isinstance(error, requests.exceptions.ProxyError):
        return Failure(f"no connection to {host} through the proxy", CHECK_CONNECTION, retryable=True)
    if isinstance(error, requests.exceptions.ConnectTimeout):
        return Failure(f"no connection to {host}: timeout", CHECK_CONNECTION, retryable=True)
    if isinstance(error, requests.exceptions.Timeout) or "timed out" in str(error).lower():
        return Failure(f"a timeout: no response from {host}", RAISE_TIMEOUT, retryable=True)
    if isinstance(error, requests.exceptions.TooManyRedirects):
        return Failure("a redirect loop", "open the link in a browser, and use the final address")
    if isinstance(error, requests.exceptions.ConnectionError) and _never_connected(error):
        return Failure(f"no connection to {host}", CHECK_CONNECTION, retryable=True)
    if isinstance(error, requests.exceptions.ConnectionError | requests.exceptions.ChunkedEncodingError):
        return Failure("a broken connection", RUN_AGAIN, retryable=True)
    return Failure(f"an invalid URL ({type(error).__name__})", "give the complete https:// link of the file")


def _never_connected(error: Exception) -> bool:
    """Whether the connection failed to open (name resolution, refused), rather than broke later."""
    text = str(error)
    return any(name in text for name in ("NameResolutionError", "NewConnectionError", "Max retries exceeded"))


def status_failure(response: requests.Response) -> Failure | None:
    """The failure that a status code means; None for success."""
    status = response.status_code
    if status in (401, 403, 407):
        return Failure(f"HTTP {status} (access denied)", "ask the owner to share the file, or use a public link")
    if status in (404, 410):
        return Failure(f"HTTP {status} (not found)", "check the URL: the file may have been moved or deleted")
    if status == 429:
        hint = "wait a few minutes and run it again"
        return Failure("HTTP 429 (too many requests)", hint, True, retry_after(response))
    if status in (408, 425) or status >= 500:
        return Failure(f"HTTP {status} (server error)", "run it again later", True, retry_after(response))
    if status >= 300:
        return Failure(f"HTTP {status}", "open the link in a browser, and use the final address")
    return None


def retry_after(response: requests.Response) -> float:
    """Seconds of a Retry-After header; 0 if there is none, or if it is a date."""
    value = response.headers.get("Retry-After", "")
    return float(value) if value.isascii() and value.isdigit() else 0.0


def disk_failure(error: OSError, folder: Path) -> Failure | None:
    """The failure of a full disk or an exceeded disk quota; None for any other error.

    Args:
        error: of a write.
        folder: holds the partial download.
    """
    if error.errno not in (errno.ENOSPC, errno.EDQUOT):
        return None
    return Failure("a full disk", _free_space_hint(folder))


def check_space(folder: Path, needed: int) -> None:
    """Check that the disk has space for the rest of a download.

    Args:
        folder: holds the partial download.
        needed: bytes still to be received.

    Raises:
        Failure: the disk of `folder` has fewer free bytes.
    """
    free = shutil.disk_usage(folder).free
    if needed > free:
        found = f"{free:,} free bytes on the disk, {needed:,} needed"
        raise Failure(found, _free_space_hint(folder))


def reserve_of(folder: Path) -> int:
    """Bytes of the disk that a download of unknown length must leave free: it may never end."""
    return min(RESERVE, shutil.disk_usage(folder).free // 2)


def check_reserve(folder: Path, reserve: int) -> None:
    """Stop a download of unknown length before the disk is full.

    Args:
        folder: holds the partial download.
        reserve: bytes that must remain free.

    Raises:
        Failure: fewer are free.
    """
    free = shutil.disk_usage(folder).free
    if free < reserve:
        found = f"a file of unknown length that is still incomplete with {free:,} free bytes on the disk"
        raise Failure(found, _free_space_hint(folder))


def _free_space_hint(folder: Path) -> str:
    size = sum(path.stat().st_size for path in folder.iterdir() if path.is_file())
    partial = f". If the file should not be that large, remove the partial download {folder} ({size:,} bytes)"
    return f"free disk space and run it again: the download will be resumed{partial if size else ''}"


BLOCK = 1 << 16
# Bytes per second. A server that is slower during a whole timeout counts as stalled.
SLOWEST = 1024


def download(url: str, folder: Path, policy: RetryPolicy) -> bool:
    """Download the body of a URL; each attempt resumes where the previous one ended.

    Args:
        url: http or https.
        folder: holds the partial download (`content`) and its ETag and Last-Modified headers (`version.json`).
        policy: timeout, retries, pauses.

    Returns:
        Whether `folder/content`, complete by the server's Content-Length, consists of more than one part. Verify its
        hash: the parts may be of two versions.

    Raises:
        InputError: access denied, not found, too many requests, no connection, timeout, incomplete, disk full.
    """
    with header_deadline(), requests.Session() as session:
        return attempt(lambda: _attempt(session, url, folder, policy), url, policy)


def _attempt(session: requests.Session, url: str, folder: Path, policy: RetryPolicy) -> bool:
    content = folder / "content"
    offset = content.stat().st_size if content.exists() else 0
    try:
        with _get(session, url, _headers(folder, offset), policy) as response:
            if _is_complete(response, offset):
                return True
            _discard_other_version(response, content, offset)
            if failure := status_failure(response):
                raise failure
            offset = offset if response.status_code == 206 else 0
            _receive(response, folder, offset, policy)
            return offset > 0
    except requests.RequestException as error:
        raise network_failure(error, url) from error
    except OSError as error:
        raise disk_failure(error, folder) or error from error


def _get(session: requests.Session, url: str, headers: dict[str, str], policy: RetryPolicy) -> requests.Response:
    """The response after all redirects; its body is not read yet."""
    try:
        return session.get(url, headers=headers, stream=True, timeout=policy.timeout)
    except requests.RequestException:
        raise
    except ValueError as error:
        # requests lets urllib's errors about the target of a redirect through.
        found = f"a redirect to an invalid URL ({error})"
        raise Failure(found, "open the link in a browser, and use the final address") from error


def _headers(folder: Path, offset: int) -> dict[str, str]:
    # Uncompressed, since Range counts bytes of the transferred representation.
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


def _is_complete(response: requests.Response, offset: int) -> bool:
    # A range that begins after the last byte gives status 416 with the length.
    return response.status_code == 416 and response.headers.get("Content-Range") == f"bytes */{offset}"


def _discard_other_version(response: requests.Response, content: Path, offset: int) -> None:
    """Remove a partial download that the server cannot resume."""
    starts = response.headers.get("Content-Range", "").startswith(f"bytes {offset}-")
    if response.status_code == 416 or (response.status_code == 206 and not starts):
        content.unlink(missing_ok=True)
        raise Failure("a different version of the file than the partial download", "run it again", retryable=True)


def _receive(response: requests.Response, folder: Path, offset: int, policy: RetryPolicy) -> None:
    left = response.headers.get("Content-Length", "")
    expected = int(left) if left.isascii() and left.isdigit() else None
    check_space(folder, expected or 0)
    tag = response.headers.get("ETag", "")
    # A weak ETag does not identify the bytes, so a download must not be resumed by it.
    version = {"etag": "" if tag.startswith("W/") else tag, "modified": response.headers.get("Last-Modified", "")}
    write_json(folder / "version.json", version)
    reserve = reserve_of(folder) if expected is None else 0
    with (
        (folder / "content").open("ab" if offset else "wb") as file,
        _bar(response.url, offset, expected) as bar,
    ):
        received = _copy(response, file, bar, policy, lambda: check_reserve(folder, reserve))
    if expected is not None and received < expected:
        found = f"an incomplete download ({offset + received:,} of {offset + expected:,} bytes)"
        raise Failure(found, RUN_AGAIN, retryable=True)


def _bar(url: str, offset: int, expected: int | None) -> tqdm:
    total = None if expected is None else offset + expected
    name = url.partition("?")[0].rstrip("/").rpartition("/")[2]
    return tqdm(total=total, initial=offset, desc=name, unit="B", unit_scale=True, disable=None)


def _copy(
    response: requests.Response, file: Any, bar: tqdm, policy: RetryPolicy, check_disk: Callable[[], None]
) -> int:
    received = before = 0
    began = time.monotonic()
    try:
        while block := response.raw.read1(BLOCK, decode_content=False):
            check_disk()
            file.write(block)
            bar.update(len(block))
            received += len(block)
            now = time.monotonic()
            if now - began >= policy.timeout:
                if received - before < SLOWEST * policy.timeout:
                    raise Failure(f"a timeout: less than {SLOWEST} bytes per second", RUN_AGAIN, retryable=True)
                began, before = now, received
    except urllib3.exceptions.ReadTimeoutError as error:
        raise Failure("a timeout: the server stopped responding", RAISE_TIMEOUT, retryable=True) from error
    except urllib3.exceptions.HTTPError as error:
        found = f"a broken connection after {received:,} bytes"
        raise Failure(found, RUN_AGAIN, retryable=True) from error
    return received
