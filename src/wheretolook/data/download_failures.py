"""What went wrong between here and a server, and what to do about it."""

import errno
import shutil
from pathlib import Path
from urllib.parse import urlsplit

import requests

from wheretolook.data.attempts import Failure

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
