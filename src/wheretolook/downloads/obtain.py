"""Files that came from outside, kept by their content: what was once fetched needs no network again."""

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
from wheretolook.downloads.attempts import Patience
from wheretolook.downloads.drive_links import read_drive_link
from wheretolook.downloads.http import download


@dataclass(frozen=True)
class ContentCache:
    """A folder of files named by their SHA-256, beside the partial downloads of what is not there yet."""

    folder: Path

    def path(self, digest: str) -> Path:
        """Where the content with this SHA-256 stands, or would stand."""
        return self.folder / "content" / digest[:2] / digest

    def get(self, digest: str) -> Path | None:
        """The file with this SHA-256, or None. Its bytes are hashed again; a file that was altered is dropped."""
        path = self.path(digest)
        if not path.is_file():
            return None
        if sha256_of(path) != digest:
            path.unlink()
            return None
        return path

    def put(self, scratch: Path) -> Path:
        """Move a finished file of the same file system into the cache, under the SHA-256 of what it really holds."""
        path = self.path(sha256_of(scratch))
        path.parent.mkdir(parents=True, exist_ok=True)
        with scratch.open("rb") as written:
            os.fsync(written.fileno())
        # Read-only: a link or a careless tool must not change what the name vouches for.
        scratch.chmod(0o444)
        return scratch.replace(path)

    @contextmanager
    def partial(self, source: str, digest: str) -> Iterator[Path]:
        """A folder for the unfinished download of `source`, the same one next time; one process at a time holds it.

        Keyed by the source and the SHA-256 that is wanted, so that a resumed download never continues other bytes.
        The folder outlives an error, so that the next attempt resumes; it is removed on success.
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
    """What is to be brought.

    Attributes:
        source: a path, an http(s) URL, or a Google Drive link.
        sha256: of its content, 64 hexadecimal digits; '' where it isn't known yet.
        setting: the parameter that holds the SHA-256, for messages: "drive.last-9.sha256".
        file: of a source that is a folder of Google Drive, the path of the file in there; else empty.
    """

    source: str
    sha256: str
    setting: str
    file: str = ""

    @property
    def shown(self) -> str:
        """What a message calls it."""
        return f"{self.file} in {self.source}" if self.file else self.source


def obtain(wanted: PinnedFile, cache: Path, patience: Patience) -> Path:
    """Bring a file, or find it in the cache.

    Args:
        wanted: where it is, and which bytes it must hold.
        cache: folder of the content cache; what is there needs no network.
        patience: of the download.

    Returns:
        Path of a file whose SHA-256 is the wanted one: in the cache, or the local path itself. Not to be changed.

    Raises:
        InputError: it can't be had, or holds other bytes, or no SHA-256 is given (then the one seen is in the message).
    """
    check_digest(wanted)
    store = ContentCache(cache)
    if found := store.get(wanted.sha256):
        return found
    if not is_remote(wanted.source):
        return _local(wanted)
    _check_address(wanted.source)
    with store.partial(wanted.shown, wanted.sha256) as folder:
        # Another process may have brought it while this one waited for the folder.
        return store.get(wanted.sha256) or _verified(_transfer(wanted, folder, patience), wanted, store)


def is_remote(source: str) -> bool:
    """Whether a source is reached by http(s)."""
    return source.lower().startswith(("http://", "https://"))


def check_digest(wanted: PinnedFile) -> None:
    """Refuse a pinned SHA-256 that can't be one.

    Raises:
        InputError: neither empty nor 64 hexadecimal digits.
    """
    if wanted.sha256 and not DIGEST.fullmatch(wanted.sha256):
        raise InputError(
            wanted.setting,
            expected="the 64 hexadecimal digits of a SHA-256, in lower case",
            found=f"{wanted.sha256!r}",
            hint="leave it out, and a run will say the one it sees",
        )


def wrong_digest(wanted: PinnedFile, seen: str, what: str = "file") -> InputError:
    """The refusal of content that isn't the pinned one, or isn't pinned at all: ready to paste."""
    paste = f"`{wanted.setting.rpartition('.')[2]}: {seen}`"
    if not wanted.sha256:
        return InputError(
            f"{wanted.shown}: expected its SHA-256 in {wanted.setting}, found none; the {what} that came has {seen}. "
            f"If you trust the source, write {paste} in params.yaml and run it again"
            + (" (no second download is needed)" if is_remote(wanted.source) else "")
        )
    return InputError(
        wanted.shown,
        expected=f"the SHA-256 {wanted.sha256} ({wanted.setting})",
        found=f"{seen}: the {what} was changed, or is another one. Ask who shared it",
        hint=f"to accept the new one on purpose, write {paste} in params.yaml",
    )


def _check_address(source: str) -> None:
    try:
        host = urlsplit(source).hostname
    except ValueError:
        host = None
    if not host:
        raise InputError(
            source, expected="an address like https://host/path/file", found="no host in it", hint="copy it anew"
        )


def _local(wanted: PinnedFile) -> Path:
    path = Path(wanted.source)
    if not path.is_file():
        found = "a folder" if path.is_dir() else "nothing there"
        raise InputError(f"{path}", "a file", f"{found}{where(path)}", "check the path, or give an https:// link")
    if not path.stat().st_size:
        raise InputError(f"{path}", "a file with content", "an empty one", "copy it here again")
    if (seen := sha256_of(path)) != wanted.sha256:
        raise wrong_digest(wanted, seen)
    return path


def _transfer(wanted: PinnedFile, folder: Path, patience: Patience) -> Path:
    """Bring a remote file into `folder`; a joined one that isn't what was pinned, once more and in one piece.

    Two halves may be of two versions: only a download in one piece can tell a changed file from that.
    """
    from wheretolook.downloads.drive import drive_file, drive_id
    from wheretolook.downloads.drive_listing import file_in_folder, folder_instead

    content = folder / "content"
    link = read_drive_link(wanted.source)
    if link is not None and link.kind == "folder" and not wanted.file:
        raise folder_instead(wanted.source, wanted.setting, link, patience)
    if link is not None and link.kind == "document":
        raise InputError(
            wanted.source,
            "the link of a file",
            "one of Google's own documents, which has no bytes",
            "Give the link of the file: in Drive, right-click it, Share, Copy link",
        )
    identifier = file_in_folder(wanted.source, wanted.file, patience) if wanted.file else drive_id(wanted.source)
    if identifier:
        bring = partial(drive_file, identifier, folder, patience)
    else:
        bring = partial(download, wanted.source, folder, patience)
    if not wanted.sha256:
        _empty(folder)
    try:
        joined = bring()
    except InputError as error:
        if link is None or not link.resource_key:
            raise
        hint = "The link has a resource key, which is not passed on: ask its owner to share a new copy of the file"
        raise InputError(error.subject, error.expected, error.found, f"{error.hint}. {hint}".lstrip(". ")) from error
    if joined and sha256_of(content) != wanted.sha256:
        _empty(folder)
        bring()
    return content


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()


def where(path: Path) -> str:
    """What to add to a message of a relative path where nothing is: the absolute path that was looked at."""
    if path.is_absolute():
        return ""
    return f" at {path.resolve()} (a queued experiment runs in a folder of its own: give an absolute path)"


def _verified(path: Path, wanted: PinnedFile, store: ContentCache) -> Path:
    if not path.stat().st_size:
        path.unlink()
        raise InputError(
            wanted.source,
            "a file",
            "an empty answer",
            "open the link in a browser, and use the address of the file itself",
        )
    seen = sha256_of(path)
    if seen != wanted.sha256 and is_page(path):
        path.unlink()
        raise InputError(
            wanted.shown,
            expected="a file",
            found="an HTML page in its place",
            hint=("open the link in a browser: it may ask for a login or a click, or lead to a page about the file"),
        )
    kept = store.put(path)
    if seen != wanted.sha256:
        raise wrong_digest(wanted, seen)
    return kept


def is_page(path: Path) -> bool:
    """Whether a file begins as an HTML page does."""
    with path.open("rb") as file:
        head = file.read(1024).lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    return head.startswith((b"<!doctype html", b"<html", b"<head"))
