"""How long gdown may be silent, and how long it waits between its own retries."""

import importlib
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

import requests
import urllib3
from tqdm import tqdm

from wheretolook.downloads.attempts import LONGEST_PAUSE, Failure, Patience, attempt, header_deadline
from wheretolook.downloads.drive_links import read_drive_link
from wheretolook.downloads.http import (
    RUN_AGAIN,
    check_reserve,
    check_space,
    disk_failure,
    network_failure,
    reserve_of,
    retry_after,
    status_failure,
)


class Watch(threading.Event):
    """What gdown takes as its way to be cancelled: an event, set here when no block came for some seconds.

    gdown's own time-out is of a single read, which a server that drips never exceeds. Between its retries gdown waits
    on this event; so it is known how often it retried, and the pauses are those of every other download.

    Attributes:
        seconds: without a block, after which the download is cancelled; several answers may have to come before.
        retried: how often gdown tried again.
    """

    def __init__(self, patience: Patience) -> None:
        super().__init__()
        self.seconds = 2 * patience.timeout
        self.retried = 0
        self._pause = patience.pause
        self._counting = threading.Condition()
        self._deadline: float | None = None
        self._ended = False
        # One thread for the whole download; a block only moves the deadline.
        self._thread = threading.Thread(target=self._count, daemon=True)

    def restart(self) -> None:
        """A block came: count the seconds from now on."""
        self._move(time.monotonic() + self.seconds)

    def stop(self) -> None:
        """Count no longer."""
        self._move(None)

    def wait(self, timeout: float | None = None) -> bool:
        """Pause before a retry; `timeout`, which gdown draws at random, is not what decides."""
        self.stop()
        pause = min(self._pause * 2**self.retried, LONGEST_PAUSE)
        self.retried += 1
        cancelled = super().wait(pause)
        self.restart()
        return cancelled

    def _move(self, deadline: float | None) -> None:
        with self._counting:
            # The thread wakes by itself at the earlier deadline, and then sees the later one.
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

    def __enter__(self) -> "Watch":
        self.restart()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._counting:
            self._ended = True
            self._counting.notify()
        self._thread.join()


# Words of Drive's own pages, in lower case.
QUOTA = ("quota exceeded", "too many users have viewed", "download quota")
PRIVATE = ("you need access", "request access", "need permission", "sign in to continue", "accounts.google.com")
MISSING = ("does not exist", "file not found", "error 404", "in the owner's trash")
LONGEST_PAGE = 1 << 20
PAGE = "an HTML page in place of the file"


def page_failure(identifier: str, patience: Patience) -> Failure:
    """Ask for a Drive file once more, and tell by the status and the words of the page why it isn't given."""
    return _failure(f"https://drive.google.com/uc?id={identifier}", patience)


def folder_failure(identifier: str, patience: Patience) -> Failure:
    """The same for the page that lists a folder."""
    failure = _failure(f"https://drive.google.com/embeddedfolderview?id={identifier}", patience)
    # Asked for again, the list came: it was a passing fault.
    return Failure("no list of the folder", "run it again", heals=True) if failure.found == PAGE else failure


def _failure(link: str, patience: Patience) -> Failure:
    try:
        headers = {"Accept-Encoding": "identity"}
        with (
            header_deadline(),
            requests.get(link, headers=headers, stream=True, timeout=patience.timeout) as response,
        ):
            if failure := _by_status(response):
                return failure
            if "Content-Disposition" in response.headers:
                return Failure("a page in place of the file, and the file right after", "run it again", heals=True)
            return _by_words(_words(response, patience.timeout))
    except requests.RequestException as error:
        return network_failure(error, link)


def _by_status(response: requests.Response) -> Failure | None:
    if response.status_code in (401, 403) or urlsplit(response.url).hostname == "accounts.google.com":
        return _private()
    if response.status_code in (404, 410):
        return _missing()
    if response.status_code == 429:
        remedy = "wait an hour, or run it from another address; Drive counts downloads by address"
        return Failure("Drive throttling this address (HTTP 429)", remedy, True, retry_after(response))
    return status_failure(response)


def _words(response: requests.Response, seconds: float) -> str:
    """As much of a page as comes in that time, in lower case."""
    text, began = b"", time.monotonic()
    try:
        while len(text) < LONGEST_PAGE and time.monotonic() - began < seconds:
            if not (block := response.raw.read1(1 << 14)):
                break
            text += block
    except urllib3.exceptions.HTTPError:
        pass  # what came is enough, or there is nothing to tell by
    return text.decode("utf-8", errors="replace").lower()


def _by_words(words: str) -> Failure:
    if any(sign in words for sign in QUOTA):
        remedy = "wait a day, or copy the file to another Drive account and use the copy's id (sha256 stays)"
        return Failure("its download quota used up", remedy)
    if any(sign in words for sign in PRIVATE):
        return _private()
    if any(sign in words for sign in MISSING):
        return _missing()
    return Failure(PAGE, "open the link in a browser; is it a file, and shared?")


def _private() -> Failure:
    remedy = "ask its owner to set General access to 'Anyone with the link'"
    return Failure("a private file", remedy)


def _missing() -> Failure:
    remedy = "check the id; the file may be deleted, and a folder is given by its link, …/drive/folders/ID"
    return Failure("no such file (HTTP 404)", remedy)


BLOCK = 1 << 16


def drive_id(source: str) -> str:
    """The id of the file that a Google Drive link leads to; '' for any other source, a folder among them."""
    link = read_drive_link(source)
    return "" if link is None or link.kind == "folder" else link.identifier


def drive_link(identifier: str) -> str:
    """The link of a Drive file."""
    return f"https://drive.google.com/uc?id={identifier}"


def drive_file(identifier: str, folder: Path, patience: Patience) -> bool:
    """Bring a file of Google Drive, in as many attempts as `patience` allows, each going on where the last one ended.

    Args:
        identifier: the file's id.
        folder: holds what came so far, as gdown names it, and in the end `content`.
        patience: time-out, retries, pauses.

    Returns:
        Whether `folder/content` was joined of more than one piece. Its bytes are not to be believed before they
        were hashed.

    Raises:
        InputError: quota, private, missing, throttled, no network, too slow, cut short, no space; with what to do.
    """
    with header_deadline():
        return attempt(lambda: _attempt(identifier, folder, patience), drive_link(identifier), patience)


def _attempt(identifier: str, folder: Path, patience: Patience) -> bool:
    import gdown

    before = _kept(folder)
    watch = Watch(patience)
    try:
        _download(identifier, folder, patience, watch)
    except gdown.exceptions.FileURLRetrievalError as error:
        raise page_failure(identifier, patience) from error
    except gdown.exceptions.DownloadCancelled as error:
        found = f"a server too slow or silent: no block in {watch.seconds:g} s"
        raise Failure(found, f"{RUN_AGAIN}, or raise `timeout`", heals=True) from error
    except gdown.exceptions.DownloadError as error:
        _drop_stuck(folder, before)
        raise _cut_short(error, drive_link(identifier), watch.retried, patience.retries) from error
    except requests.HTTPError as error:
        raise page_failure(identifier, patience) from error
    except requests.RequestException as error:
        raise network_failure(error, drive_link(identifier)) from error
    except OSError as error:
        raise disk_failure(error, folder) or error from error
    except (KeyError, ValueError, TypeError, AssertionError) as error:
        # gdown reads headers and forms as Drive sends them; an answer of another make ends in one of these.
        raise Failure("an answer that is not Drive's", "open the link in a browser; update gdown") from error
    return before > 0 or watch.retried > 0


def _download(identifier: str, folder: Path, patience: Patience, watch: Watch) -> None:
    import gdown

    # A cut connection costs the block that it cut. gdown reads half a megabyte at a time: for a model of some
    # megabytes and five cuts that is a quarter of it, sent twice.
    importlib.import_module("gdown.download").CHUNK_SIZE = BLOCK
    reserve = reserve_of(folder)
    with tqdm(desc=identifier, unit="B", unit_scale=True, leave=False, disable=None) as bar, watch:

        def advance(so_far: int, total: int | None) -> None:
            watch.restart()
            if bar.total is None and total is not None:
                bar.total = total
                check_space(folder, total - so_far)
            if total is None:
                check_reserve(folder, reserve)
            bar.update(so_far - bar.n)

        gdown.download(
            id=identifier,
            output=str(folder / "content"),
            quiet=True,  # its own bar is drawn where there is no terminal, too
            use_cookies=False,  # they would be written into the home folder
            resume=True,
            timeout=patience.timeout,
            # These are for cut connections, and go on from the very byte; answers like 429 are for the attempts here.
            retries=patience.retries,
            cancel=watch,
            progress=advance,
        )


def _kept(folder: Path) -> int:
    """Bytes of earlier attempts."""
    return sum(path.stat().st_size for path in folder.glob("content*.part"))


def _drop_stuck(folder: Path, before: int) -> None:
    # A server that doesn't go on from the kept part would refuse it for ever: begin anew.
    if before and _kept(folder) == before:
        for path in folder.glob("content*.part"):
            path.unlink()


def _cut_short(error: Exception, link: str, retried: int, retries: int) -> Failure:
    cause = error.__cause__
    if isinstance(cause, requests.exceptions.ConnectionError | requests.exceptions.Timeout):
        failure = network_failure(cause, link)
    else:
        failure = Failure("a file cut short", RUN_AGAIN, heals=True)
    if retries and retried == retries:
        return Failure(f"{failure.found}, in {retried + 1} attempts", failure.remedy)
    return failure
