"""A folder of Google Drive: listed through gdown, then fetched file by file, and pinned as a whole."""

import re
import shutil
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from tqdm import tqdm

from wheretolook.data.archive_entries import Entry
from wheretolook.data.archive_plan import judge
from wheretolook.data.atomic import replacing_folder, write_text
from wheretolook.data.attempts import Patience
from wheretolook.data.cache import ContentCache
from wheretolook.data.drive import drive_file
from wheretolook.data.drive_links import read_drive_link
from wheretolook.data.drive_listing import list_drive_folder
from wheretolook.data.obtain import Wanted, check_digest, wrong_digest
from wheretolook.data.space import naming

# What came so far, in the folder of the unfinished download: "SHA-256, two spaces, id", by lines.
MEMORY = "fetched"
REMEMBERED = re.compile(r"([0-9a-f]{64})  (\S+)")

# Lines of "SHA-256, two spaces, path", sorted by path: the SHA-256 of that text pins the folder.
Listing = list[tuple[str, str]]


def drive_folder_id(source: str) -> str:
    """The id of the folder that a Google Drive link leads to; '' for any other source."""
    link = read_drive_link(source)
    return link.identifier if link is not None and link.kind == "folder" else ""


def obtain_drive_folder(wanted: Wanted, cache: Path, patience: Patience) -> Listing:
    """Bring every file of a Drive folder into the cache, or find all of them there.

    Args:
        wanted: the folder's link, and the SHA-256 of its listing.
        cache: folder of the content cache.
        patience: of each download.

    Returns:
        (SHA-256, path) of each file, sorted by path.

    Raises:
        Refusal: the folder or one of its files can't be had, two files have one name, or the listing has another
            SHA-256 than is wanted (or none is given; then the one seen is in the message).
    """
    check_digest(wanted)
    store = ContentCache(cache)
    if (listing := _cached(store, wanted.sha256)) is not None:
        return listing
    with store.partial(wanted.source, wanted.sha256) as folder:
        resumed = (folder / MEMORY).exists()
        digest = _fetch(wanted, store, folder, patience)
        if resumed and digest != wanted.sha256:
            # A file may have changed since the part that came before.
            (folder / MEMORY).unlink()
            digest = _fetch(wanted, store, folder, patience)
        if digest != wanted.sha256:
            raise wrong_digest(wanted, digest, "folder")
    listing = _cached(store, digest)
    assert listing is not None
    return listing


def _cached(store: ContentCache, digest: str) -> Listing | None:
    path = store.get(digest)
    if path is None:
        return None
    # Not splitlines: a name may hold what that takes for the end of a line.
    lines = path.read_text(encoding="utf-8").split("\n")[:-1]
    listing = [tuple(line.split("  ", 1)) for line in lines]
    return listing if all(store.get(file) for file, _ in listing) else None


def _fetch(wanted: Wanted, store: ContentCache, folder: Path, patience: Patience) -> str:
    """Bring what is missing, one file after the other, and put the listing into the cache; its SHA-256."""
    files = list_drive_folder(drive_folder_id(wanted.source), wanted.source, patience)
    judge([Entry(path, 0, "file") for path in files])
    fetched = _recall(folder / MEMORY)
    for identifier in tqdm(files.values(), desc=folder.name[:8], unit="file", disable=None):
        if not (identifier in fetched and store.get(fetched[identifier])):
            scratch = folder / identifier
            scratch.mkdir(exist_ok=True)
            drive_file(identifier, scratch, patience)
            fetched[identifier] = store.put(scratch / "content").name
            _remember(folder / MEMORY, identifier, fetched[identifier])
    lines = sorted((path, fetched[identifier]) for path, identifier in files.items())
    write_text(folder / "listing", "".join(f"{digest}  {path}\n" for path, digest in lines))
    return store.put(folder / "listing").name


def _recall(memory: Path) -> dict[str, str]:
    """The SHA-256 of each file that came before, by id."""
    lines = memory.read_text(encoding="utf-8", errors="replace").split("\n") if memory.exists() else []
    # The last one is empty, or was cut short.
    return {match[2]: match[1] for line in lines[:-1] if (match := REMEMBERED.fullmatch(line))}


def _remember(memory: Path, identifier: str, digest: str) -> None:
    # A line for each file: the whole, written anew each time, would grow with the square of their number.
    with naming(memory), memory.open("a", encoding="utf-8") as file:
        file.write(f"{digest}  {identifier}\n")


def copy_listing(listing: Listing, paths: Mapping[int, PurePosixPath], cache: Path, folder: Path) -> None:
    """Copy files of a listing, place to path, out of the cache to a folder, which is replaced as a whole."""
    store = ContentCache(cache)
    with replacing_folder(folder, recorded=False) as scratch:
        for place, path in paths.items():
            target = scratch / path
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(store.path(listing[place][0]), target)
