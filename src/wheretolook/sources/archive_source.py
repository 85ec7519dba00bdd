"""A folder of Google Drive: listed through gdown, then fetched file by file, and pinned as a whole."""

import re
import shutil
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from tqdm import tqdm

from wheretolook.base.errors import InputError
from wheretolook.base.files import replacing_folder, write_text
from wheretolook.base.resources import naming
from wheretolook.downloads.attempts import Patience
from wheretolook.downloads.drive import drive_file, drive_link
from wheretolook.downloads.drive_links import read_drive_link
from wheretolook.downloads.drive_listing import list_drive_folder
from wheretolook.downloads.obtain import ContentCache, PinnedFile, check_digest, obtain, wrong_digest
from wheretolook.images.class_level import class_level
from wheretolook.images.decode import SUFFIXES
from wheretolook.images.scan import image_paths, scan_classes
from wheretolook.sources.archive import judge, make_plan, unpack
from wheretolook.sources.archive_entries import Entry
from wheretolook.sources.archive_names import safe_parts

# What came so far, in the folder of the unfinished download: "SHA-256, two spaces, id", by lines.
MEMORY = "fetched"
REMEMBERED = re.compile(r"([0-9a-f]{64})  (\S+)")

# Lines of "SHA-256, two spaces, path", sorted by path: the SHA-256 of that text pins the folder.
Listing = list[tuple[str, str]]


def drive_folder_id(source: str) -> str:
    """The id of the folder that a Google Drive link leads to; '' for any other source."""
    link = read_drive_link(source)
    return link.identifier if link is not None and link.kind == "folder" else ""


def obtain_drive_folder(wanted: PinnedFile, cache: Path, patience: Patience) -> Listing:
    """Bring every file of a Drive folder into the cache, or find all of them there.

    Args:
        wanted: the folder's link, and the SHA-256 of its listing.
        cache: folder of the content cache.
        patience: of each download.

    Returns:
        (SHA-256, path) of each file, sorted by path.

    Raises:
        InputError: the folder or one of its files can't be had, two files have one name, or the listing has another
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


def _fetch(wanted: PinnedFile, store: ContentCache, folder: Path, patience: Patience) -> str:
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


def fetch_archive(
    wanted: PinnedFile, root: str, masks: str, folder: Path, cache: Path, patience: Patience
) -> tuple[str, ...]:
    """Bring an archive, check it against its SHA-256, and unpack it to FOLDER/images and FOLDER/masks.

    Args:
        wanted: path, http(s) URL or Drive link of the archive, and its SHA-256.
        root: the folder inside it that holds the class folders, from the top on; '.' for the top, '' finds it itself.
        masks: the folder inside it that holds the masks, from the top on, too; '' for none.
        folder: what stands there under `images` and `masks` is replaced, as a whole each, or untouched.
        cache: folder of the content cache, ".cache" in the pipeline.
        patience: of a download.

    Raises:
        InputError: it can't be had, holds other bytes, or is not to be unpacked.

    Returns:
        Names of the files that stayed behind, since they are no images by their suffix.
    """
    archive = obtain(wanted, cache, patience)
    try:
        ignored = unpack(archive, folder / "images", root, without=masks)
        if masks:
            unpack(archive, folder / "masks", masks, called="masks")
    except InputError as refusal:
        subject = refusal.subject.replace(str(archive), wanted.source)
        raise InputError(subject, refusal.expected, refusal.found, refusal.hint) from refusal
    return ignored


def fetch_drive(
    wanted: PinnedFile, root: str, masks: str, folder: Path, cache: Path, patience: Patience
) -> tuple[str, ...]:
    """As `fetch_archive`, for a link of Google Drive: to an archive, or to a folder with the files themselves.

    The SHA-256 of a folder is that of its listing: for each file a line of its own SHA-256, two spaces and its path,
    sorted by path. A run without it says the one that it sees.
    """
    if not drive_folder_id(wanted.source):
        return fetch_archive(wanted, root, masks, folder, cache, patience)
    listing = obtain_drive_folder(wanted, cache, patience)
    found = [Entry(path, 0, "file") for _, path in listing]
    plan = make_plan(found, root, without=masks)
    copy_listing(listing, plan.paths, cache, folder / "images")
    if masks:
        copy_listing(listing, make_plan(found, masks, called="masks").paths, cache, folder / "masks")
    return plan.ignored


def fetch_outside(given: Mapping[str, str], folder: Path, cache: Path, patience: Patience) -> tuple[str, ...]:
    """Do what the sources `archive` and `drive` of stage `fetch` were asked for.

    Args:
        given: sha256, root, masks, and one of path, url and id.
        folder: gets `images` and, where there are masks, `masks`.
        cache: folder of the content cache.
        patience: of a download.

    Returns:
        Names of the files that stayed behind, since they are no images by their suffix.

    Raises:
        InputError: as `fetch_drive`; no class folders; or no masks where masks were asked for.
    """
    wanted = wanted_of(given)
    ignored = fetch_drive(wanted, given["root"], given["masks"], folder, cache, patience)
    _check_classes(folder / "images", given["root"], wanted.source)
    if given["masks"] and not image_paths(folder / "masks"):
        kinds = ", ".join(sorted(SUFFIXES))
        raise InputError(given["masks"], expected=f"masks ({kinds})", found="none", hint="'' stands for no masks")
    return ignored


def _check_classes(images: Path, root: str, source: str) -> None:
    """Refuse what is no folder of class folders, by its name in the archive: the scratch folder's says nothing.

    Args:
        images: what was unpacked.
        root: the folder that it was in the archive; '' for the one that was found.
        source: the archive.

    Raises:
        InputError: as `scan_classes`; with the `root` to write where that stood too high.
    """
    try:
        scan_classes(images)
    except InputError as refusal:
        found = str(refusal).replace(str(images), f"{source}: {root}" if root else source)
        level = class_level(path.relative_to(images).parts for path in image_paths(images))
        lower = "/".join((*safe_parts(root), *level.head))
        raise InputError(found + (f"; set `fetch.root: {lower}`" if level.head else "")) from refusal


def wanted_of(given: Mapping[str, str]) -> PinnedFile:
    """What is to be brought: given one of path, url and id, and sha256."""
    source = drive_link(given["id"]) if "id" in given else given.get("url") or str(given["path"])
    return PinnedFile(source, given["sha256"], "fetch.sha256")
