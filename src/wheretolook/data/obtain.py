"""One file from a path, a URL or Google Drive: the bytes that were pinned, or a reason why not."""

import re
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from wheretolook.data.attempts import Patience
from wheretolook.data.cache import ContentCache
from wheretolook.data.download import download
from wheretolook.data.drive_links import read_drive_link
from wheretolook.data.hashing import sha256_of
from wheretolook.data.refusal import Refusal
from wheretolook.errors import InputError

DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Wanted:
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


def obtain(wanted: Wanted, cache: Path, patience: Patience) -> Path:
    """Bring a file, or find it in the cache.

    Args:
        wanted: where it is, and which bytes it must hold.
        cache: folder of the content cache; what is there needs no network.
        patience: of the download.

    Returns:
        Path of a file whose SHA-256 is the wanted one: in the cache, or the local path itself. Not to be changed.

    Raises:
        Refusal: it can't be had, or holds other bytes, or no SHA-256 is given (then the one seen is in the message).
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


def check_digest(wanted: Wanted) -> None:
    """Refuse a pinned SHA-256 that can't be one.

    Raises:
        Refusal: neither empty nor 64 hexadecimal digits.
    """
    if wanted.sha256 and not DIGEST.fullmatch(wanted.sha256):
        raise Refusal(
            f"{wanted.setting}: expected the 64 hexadecimal digits of a SHA-256, in lower case, "
            f"found {wanted.sha256!r}; leave it out, and a run will say the one it sees"
        )


def wrong_digest(wanted: Wanted, seen: str, what: str = "file") -> Refusal:
    """The refusal of content that isn't the pinned one, or isn't pinned at all: ready to paste."""
    paste = f"`{wanted.setting.rpartition('.')[2]}: {seen}`"
    if not wanted.sha256:
        return Refusal(
            f"{wanted.shown}: expected its SHA-256 in {wanted.setting}, found none; the {what} that came has {seen}. "
            f"If you trust the source, write {paste} in params.yaml and run it again"
            + (" (no second download is needed)" if is_remote(wanted.source) else "")
        )
    return Refusal(
        f"{wanted.shown}: expected the SHA-256 {wanted.sha256} ({wanted.setting}), found {seen}: the {what} was "
        f"changed, or is another one. Ask who shared it; to accept the new one on purpose, write {paste} in params.yaml"
    )


def _check_address(source: str) -> None:
    try:
        host = urlsplit(source).hostname
    except ValueError:
        host = None
    if not host:
        raise Refusal(f"{source}: expected an address like https://host/path/file, found no host in it; copy it anew")


def _local(wanted: Wanted) -> Path:
    path = Path(wanted.source)
    if not path.is_file():
        found = "a folder" if path.is_dir() else "nothing there"
        raise InputError(f"{path}", "a file", f"{found}{where(path)}", "check the path, or give an https:// link")
    if not path.stat().st_size:
        raise InputError(f"{path}", "a file with content", "an empty one", "copy it here again")
    if (seen := sha256_of(path)) != wanted.sha256:
        raise wrong_digest(wanted, seen)
    return path


def _transfer(wanted: Wanted, folder: Path, patience: Patience) -> Path:
    """Bring a remote file into `folder`; a joined one that isn't what was pinned, once more and in one piece.

    Two halves may be of two versions: only a download in one piece can tell a changed file from that.
    """
    from wheretolook.data.drive import drive_file, drive_id
    from wheretolook.data.drive_folder_file import file_in_folder, folder_instead

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


def _verified(path: Path, wanted: Wanted, store: ContentCache) -> Path:
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
        raise Refusal(
            f"{wanted.shown}: expected a file, found an HTML page in its place; "
            "open the link in a browser: it may ask for a login or a click, or lead to a page about the file"
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
