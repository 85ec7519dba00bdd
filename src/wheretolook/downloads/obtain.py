"""Files from outside, verified by SHA-256 and kept in a content-addressed cache, so that none is downloaded twice."""

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path
from urllib.parse import urlsplit

from wheretolook.base.errors import InputError
from wheretolook.base.files import sha256_of
from wheretolook.downloads.attempts import RetryPolicy
from wheretolook.downloads.drive_listing import read_drive_link
from wheretolook.downloads.http import download


@dataclass(frozen=True)
class ContentCache:
    """A folder of files named by their SHA-256, with the partial downloads beside them."""

    folder: Path

    def path(self, digest: str) -> Path:
        """Path of the file with this SHA-256, whether it exists or not."""
        return self.folder / "content" / digest[:2] / digest

    def get(self, digest: str) -> Path | None:
        """The file with this SHA-256, or None. The file is hashed again, and removed if it was changed."""
        path = self.path(digest)
        if not path.is_file():
            return None
        if sha256_of(path) != digest:
            path.unlink()
            return None
        return path

    def put(self, scratch: Path) -> Path:
        """Move a finished file of the same file system into the cache, under its SHA-256."""
        path = self.path(sha256_of(scratch))
        path.parent.mkdir(parents=True, exist_ok=True)
        with scratch.open("rb") as written:
            os.fsync(written.fileno())
        # Read-only, so that no tool changes the content behind its hash, through a link for instance.
        scratch.chmod(0o444)
        return scratch.replace(path)

    @contextmanager
    def partial(self, source: str, digest: str) -> Iterator[Path]:
        """The folder of the partial download of `source`, locked by one process at a time.

        Its name is a hash of the source and the pinned SHA-256, so that a download is never resumed with other bytes.
        After an error the folder is kept for the next attempt; on success it is removed.
        """
        from filelock import FileLock

        folder = self.folder / "partial" / sha256(f"{source}\n{digest}".encode()).hexdigest()[:32]
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_suffix(".lock")):
            folder.mkdir(exist_ok=True)
            yield folder
            shutil.rmtree(folder)


DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class PinnedFile:
    """A file to obtain, pinned by its SHA-256.

    Attributes:
        source: a path, an http(s) URL, or a Google Drive link.
        sha256: of its content, 64 hexadecimal digits; '' if not known yet.
        setting: the parameter of the SHA-256, for messages: "drive.last-9.sha256".
        file: if the source is a Google Drive folder, the path of the file inside it; else empty.
    """

    source: str
    sha256: str
    setting: str
    file: str = ""

    @property
    def shown(self) -> str:
        """The name in messages."""
        return f"{self.file} in {self.source}" if self.file else self.source


def obtain(pinned: PinnedFile, cache: Path, policy: RetryPolicy) -> Path:
    """Download a file, unless the cache has it.

    Args:
        pinned: the source and its SHA-256.
        cache: folder of the content cache; a cached file needs no network.
        policy: timeout and retries of the download.

    Returns:
        Path of the file with the pinned SHA-256: in the cache, or the local path itself. Do not modify it.

    Raises:
        InputError: the file cannot be obtained, has another SHA-256, or no SHA-256 is pinned (the hint has the actual
            one).
    """
    check_digest(pinned)
    store = ContentCache(cache)
    if found := store.get(pinned.sha256):
        return found
    if not is_remote(pinned.source):
        return _local(pinned)
    _check_address(pinned.source)
    with store.partial(pinned.shown, pinned.sha256) as folder:
        # Another process may have downloaded it while this one waited for the lock.
        return store.get(pinned.sha256) or _verified(_transfer(pinned, folder, policy), pinned, store)


def is_remote(source: str) -> bool:
    """Whether a source is an http(s) URL."""
    return source.lower().startswith(("http://", "https://"))


def check_digest(pinned: PinnedFile) -> None:
    """Check the syntax of a pinned SHA-256.

    Raises:
        InputError: it is neither empty nor 64 hexadecimal digits in lower case.
    """
    if pinned.sha256 and not DIGEST.fullmatch(pinned.sha256):
        raise InputError(
            pinned.setting,
            expected="a SHA-256, 64 hexadecimal digits in lower case",
            found=f"{pinned.sha256!r}",
            hint="leave it out, and a run prints the actual one",
        )


def wrong_digest(pinned: PinnedFile, seen: str, what: str = "file") -> InputError:
    """The error for content with another SHA-256 than the pinned one, or without a pinned one.

    Args:
        pinned: the file.
        seen: SHA-256 of the content.
        what: the noun in the message.
    """
    line = f"`{pinned.setting.rpartition('.')[2]}: {seen}`"
    if not pinned.sha256:
        cached = " (it is not downloaded again)" if is_remote(pinned.source) else ""
        hint = f"The {what} has SHA-256 {seen}: if you trust it, write {line} in params.yaml and run again{cached}"
        return InputError(pinned.shown, f"its SHA-256 in {pinned.setting}", "none", hint)
    return InputError(
        pinned.shown,
        expected=f"SHA-256 {pinned.sha256} ({pinned.setting})",
        found=seen,
        hint=f"The {what} has changed, or is another one: ask who shared it. To accept it, write {line} in params.yaml",
    )


def _check_address(source: str) -> None:
    try:
        host = urlsplit(source).hostname
    except ValueError:
        host = None
    if not host:
        raise InputError(source, "a URL such as https://host/path/file", "no host", "copy the URL again")


def _local(pinned: PinnedFile) -> Path:
    path = Path(pinned.source)
    if not path.is_file():
        found = "a folder" if path.is_dir() else "no such file"
        raise InputError(f"{path}", "a file", f"{found}{where(path)}", "check the path, or give an https:// link")
    if not path.stat().st_size:
        raise InputError(f"{path}", "a file with content", "an empty file", "copy it again")
    if (seen := sha256_of(path)) != pinned.sha256:
        raise wrong_digest(pinned, seen)
    return path


def _transfer(pinned: PinnedFile, folder: Path, policy: RetryPolicy) -> Path:
    """Download a remote file into `folder`.

    A resumed download with a wrong SHA-256 is repeated in one piece: its parts may have been of two versions.
    """
    from wheretolook.downloads.drive import drive_file
    from wheretolook.downloads.drive_listing import drive_id, file_in_folder, folder_instead

    content = folder / "content"
    link = read_drive_link(pinned.source)
    if link is not None and link.kind == "folder" and not pinned.file:
        raise folder_instead(pinned.source, pinned.setting, link, policy)
    if link is not None and link.kind == "document":
        raise InputError(
            pinned.source,
            "the link of a file",
            "a Google document, which is not stored as a file",
            "To copy the link of a file in Drive, right-click it: Share, Copy link",
        )
    identifier = file_in_folder(pinned.source, pinned.file, policy) if pinned.file else drive_id(pinned.source)
    if identifier:
        fetch = partial(drive_file, identifier, folder, policy)
    else:
        fetch = partial(download, pinned.source, folder, policy)
    if not pinned.sha256:
        _empty(folder)
    try:
        resumed = fetch()
    except InputError as error:
        if link is None or not link.resource_key:
            raise
        hint = "The link has a resource key, which is not supported: ask its owner to share a new copy of the file"
        raise InputError(error.subject, error.expected, error.found, f"{error.hint}. {hint}".lstrip(". ")) from error
    if resumed and sha256_of(content) != pinned.sha256:
        _empty(folder)
        fetch()
    return content


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()


def where(path: Path) -> str:
    """For a message about a missing file: the absolute path, if `path` is relative; else nothing."""
    if path.is_absolute():
        return ""
    return f" at {path.resolve()} (queued experiments run in another folder and need absolute paths)"


def _verified(path: Path, pinned: PinnedFile, store: ContentCache) -> Path:
    if not path.stat().st_size:
        path.unlink()
        raise InputError(
            pinned.source,
            "a file",
            "an empty response",
            "open the link in a browser, and use the URL of the file itself",
        )
    seen = sha256_of(path)
    if seen != pinned.sha256 and is_page(path):
        path.unlink()
        raise InputError(
            pinned.shown,
            expected="a file",
            found="an HTML page",
            hint="open the link in a browser: it may require a login or a click, or lead to a page about the file",
        )
    kept = store.put(path)
    if seen != pinned.sha256:
        raise wrong_digest(pinned, seen)
    return kept


def is_page(path: Path) -> bool:
    """Whether a file is an HTML page, by its first bytes."""
    with path.open("rb") as file:
        head = file.read(1024).lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    return head.startswith((b"<!doctype html", b"<html", b"<head"))
