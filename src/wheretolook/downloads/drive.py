"""Downloads of Google Drive files by gdown: timeout, retries, and the reason of a failure from Drive's pages."""

import importlib
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

import requests
import urllib3
from tqdm import tqdm

from wheretolook.downloads.attempts import LONGEST_PAUSE, Failure, RetryPolicy, attempt, header_deadline
from wheretolook.downloads.http import (
    RAISE_TIMEOUT,
    RUN_AGAIN,
    check_reserve,
    check_space,
    disk_failure,
    network_failure,
    reserve_of,
    retry_after,
    status_failure,
)


class StallTimer(threading.Event):
    """Cancels a gdown download when no block arrives for some seconds: the event that gdown takes as `cancel`.

    gdown's own timeout applies to a single read, and a server that sends single bytes never exceeds it. gdown waits on
    this event between its retries, so the retries can be counted, and the pauses are those of other downloads.

    Attributes:
        seconds: without a block, after which the download is cancelled. Twice the timeout, since gdown may need
            several responses before the first block.
        retries: number of retries by gdown.
    """

    def __init__(self, policy: RetryPolicy) -> None:
        super().__init__()
        self.seconds = 2 * policy.timeout
        self.retries = 0
        self._pause = policy.pause
        self._counting = threading.Condition()
        self._deadline: float | None = None
        self._ended = False
        # One thread for the whole download; a block only moves the deadline.
        self._thread = threading.Thread(target=self._count, daemon=True)

    def restart(self) -> None:
        """Start counting again: a block has arrived."""
        self._move(time.monotonic() + self.seconds)

    def stop(self) -> None:
        """Stop counting."""
        self._move(None)

    def wait(self, timeout: float | None = None) -> bool:
        """Pause before a retry; ignores `timeout`, which gdown draws at random."""
        self.stop()
        pause = min(self._pause * 2**self.retries, LONGEST_PAUSE)
        self.retries += 1
        cancelled = super().wait(pause)
        self.restart()
        return cancelled

    def _move(self, deadline: float | None) -> None:
        with self._counting:
            # No need to wake the thread for a later deadline: it wakes at the earlier one and reads the new one.
            wake = self._deadline is None or deadline is None
            self._deadline = deadline
            if wake:
                self._counting.notify()

    def _count(self) -> None:
        with self._counting:
            while not self._ended:
                left = None if self._deadline is None else self._deadline - time.monotonic()
                if left is not None and left <= 0:
                    self.set()
                    return
                self._counting.wait(left)

    def __enter__(self) -> "StallTimer":
        self.restart()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._counting:
            self._ended = True
            self._counting.notify()
        self._thread.join()


# Phrases of Drive's HTML pages, in lower case.
QUOTA = ("quota exceeded", "too many users have viewed", "download quota")
PRIVATE = ("you need access", "request access", "need permission", "sign in to continue", "accounts.google.com")
MISSING = ("does not exist", "file not found", "error 404", "in the owner's trash")
LONGEST_PAGE = 1 << 20
PAGE = "an HTML page"


def page_failure(identifier: str, policy: RetryPolicy) -> Failure:
    """Why a Drive file cannot be downloaded, from status and text of one more response."""
    return _failure(f"https://drive.google.com/uc?id={identifier}", policy)


def folder_failure(identifier: str, policy: RetryPolicy) -> Failure:
    """Why a Drive folder cannot be listed, from status and text of one more response."""
    failure = _failure(f"https://drive.google.com/embeddedfolderview?id={identifier}", policy)
    # This time the list arrived: the failure was temporary.
    return Failure("no listing of the folder", "run it again", retryable=True) if failure.found == PAGE else failure


def _failure(link: str, policy: RetryPolicy) -> Failure:
    try:
        headers = {"Accept-Encoding": "identity"}
        with (
            header_deadline(),
            requests.get(link, headers=headers, stream=True, timeout=policy.timeout) as response,
        ):
            if failure := _drive_status_failure(response):
                return failure
            if "Content-Disposition" in response.headers:
                return Failure("an HTML page first, and then the file", "run it again", retryable=True)
            return _page_text_failure(_page_text(response, policy.timeout))
    except requests.RequestException as error:
        return network_failure(error, link)


def _drive_status_failure(response: requests.Response) -> Failure | None:
    if response.status_code in (401, 403) or urlsplit(response.url).hostname == "accounts.google.com":
        return _private()
    if response.status_code in (404, 410):
        return _missing()
    if response.status_code == 429:
        hint = "wait an hour, or run it on another network: Drive limits downloads by IP address"
        return Failure("HTTP 429 (too many requests)", hint, True, retry_after(response))
    return status_failure(response)


def _page_text(response: requests.Response, seconds: float) -> str:
    """The page in lower case, as far as it arrives in `seconds`."""
    text, began = b"", time.monotonic()
    try:
        while len(text) < LONGEST_PAGE and time.monotonic() - began < seconds:
            if not (block := response.raw.read1(1 << 14)):
                break
            text += block
    except urllib3.exceptions.HTTPError:
        pass  # a partial page is used as it is
    return text.decode("utf-8", errors="replace").lower()


def _page_text_failure(text: str) -> Failure:
    if any(phrase in text for phrase in QUOTA):
        hint = "wait a day, or copy the file to another Drive account and use its id (same sha256)"
        return Failure("an exceeded download quota", hint)
    if any(phrase in text for phrase in PRIVATE):
        return _private()
    if any(phrase in text for phrase in MISSING):
        return _missing()
    return Failure(PAGE, "open the link in a browser: it may not be a file, or not be shared")


def _private() -> Failure:
    return Failure("a private file", "ask its owner to set General access to 'Anyone with the link'")


def _missing() -> Failure:
    hint = "check the id: the file may be deleted; for a folder, give its link, …/drive/folders/ID"
    return Failure("no such file (HTTP 404)", hint)


BLOCK = 1 << 16


def drive_link(identifier: str) -> str:
    """The link of a Drive file."""
    return f"https://drive.google.com/uc?id={identifier}"


def drive_file(identifier: str, folder: Path, policy: RetryPolicy) -> bool:
    """Download a file of Google Drive; each attempt resumes where the previous one ended.

    Args:
        identifier: the file's id.
        folder: holds the partial download under gdown's name, and finally `content`.
        policy: timeout, retries, pauses.

    Returns:
        Whether `folder/content` consists of more than one part. Verify its hash: the parts may be of two versions.

    Raises:
        InputError: quota exceeded, private, missing, too many requests, no connection, timeout, incomplete, disk full.
    """
    with header_deadline():
        return attempt(lambda: _attempt(identifier, folder, policy), drive_link(identifier), policy)


def _attempt(identifier: str, folder: Path, policy: RetryPolicy) -> bool:
    import gdown

    before = _kept(folder)
    timer = StallTimer(policy)
    try:
        _download(identifier, folder, policy, timer)
    except gdown.exceptions.FileURLRetrievalError as error:
        raise page_failure(identifier, policy) from error
    except gdown.exceptions.DownloadCancelled as error:
        found = f"a timeout: no data for {timer.seconds:g} s"
        raise Failure(found, RAISE_TIMEOUT, retryable=True) from error
    except gdown.exceptions.DownloadError as error:
        _drop_stuck(folder, before)
        raise _incomplete(error, drive_link(identifier), timer.retries, policy.retries) from error
    except requests.HTTPError as error:
        raise page_failure(identifier, policy) from error
    except requests.RequestException as error:
        raise network_failure(error, drive_link(identifier)) from error
    except OSError as error:
        raise disk_failure(error, folder) or error from error
    except (KeyError, ValueError, TypeError, AssertionError) as error:
        # gdown raises these if headers or forms of the response are not in Drive's format.
        raise Failure("an unknown response", "open the link in a browser, and update gdown") from error
    return before > 0 or timer.retries > 0


def _download(identifier: str, folder: Path, policy: RetryPolicy, timer: StallTimer) -> None:
    import gdown

    # A broken connection loses the current block. gdown's blocks of 512 KiB would send a quarter of a small model
    # twice if the connection broke five times.
    vars(importlib.import_module("gdown.download"))["CHUNK_SIZE"] = BLOCK
    reserve = reserve_of(folder)
    with tqdm(desc=identifier, unit="B", unit_scale=True, leave=False, disable=None) as bar, timer:

        def advance(so_far: int, total: int | None) -> None:
            timer.restart()
            if bar.total is None and total is not None:
                bar.total = total
                check_space(folder, total - so_far)
            if total is None:
                check_reserve(folder, reserve)
            bar.update(so_far - bar.n)

        gdown.download(
            id=identifier,
            output=str(folder / "content"),
            quiet=True,  # gdown draws its own bar even without a terminal
            use_cookies=False,  # gdown would write them into the home folder
            resume=True,
            timeout=policy.timeout,
            # gdown retries broken connections, resuming at the exact byte; `attempt` retries responses like 429.
            retries=policy.retries,
            cancel=timer,
            progress=advance,
        )


def _kept(folder: Path) -> int:
    """Bytes of partial downloads."""
    return sum(path.stat().st_size for path in folder.glob("content*.part"))


def _drop_stuck(folder: Path, before: int) -> None:
    """Remove a partial download that did not grow: a server that cannot resume it would fail every time."""
    if before and _kept(folder) == before:
        for path in folder.glob("content*.part"):
            path.unlink()


def _incomplete(error: Exception, link: str, retried: int, retries: int) -> Failure:
    cause = error.__cause__
    if isinstance(cause, requests.exceptions.ConnectionError | requests.exceptions.Timeout):
        failure = network_failure(cause, link)
    else:
        failure = Failure("an incomplete download", RUN_AGAIN, retryable=True)
    if retries and retried == retries:
        return Failure(f"{failure.found} after {retried + 1} attempts", failure.hint)
    return failure
