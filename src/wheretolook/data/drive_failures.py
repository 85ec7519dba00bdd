"""Why Google Drive sent a page in place of a file: gdown has one message for all of it, so the page is read again."""

import time
from urllib.parse import urlsplit

import requests
import urllib3

from wheretolook.data.attempts import Failure, Patience
from wheretolook.data.download_failures import network_failure, retry_after, status_failure
from wheretolook.data.header_deadline import header_deadline

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
