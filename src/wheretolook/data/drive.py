"""Files of Google Drive, through gdown: watched, resumed, and each failure told apart."""

import importlib
from pathlib import Path

import requests
from tqdm import tqdm

from wheretolook.data.attempts import Failure, Patience, attempt
from wheretolook.data.download_failures import (
    RUN_AGAIN,
    check_reserve,
    check_space,
    disk_failure,
    network_failure,
    reserve_of,
)
from wheretolook.data.drive_failures import page_failure
from wheretolook.data.drive_links import read_drive_link
from wheretolook.data.drive_watch import Watch
from wheretolook.data.header_deadline import header_deadline

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
        Refusal: quota, private, missing, throttled, no network, too slow, cut short, no space; with what to do.
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
