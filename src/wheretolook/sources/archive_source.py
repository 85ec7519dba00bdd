"""The sources `archive` and `drive`: download, verify the SHA-256, unpack.

A folder of Google Drive is listed through gdown, downloaded file by file, and pinned by the SHA-256 of its listing.
"""

import glob
import re
import shutil
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from tqdm import tqdm

from wheretolook.base.errors import InputError
from wheretolook.base.files import replacing_folder, write_text
from wheretolook.base.resources import naming
from wheretolook.downloads.attempts import RetryPolicy
from wheretolook.downloads.drive import drive_file, drive_link
from wheretolook.downloads.drive_listing import list_drive_folder, read_drive_link
from wheretolook.downloads.obtain import ContentCache, PinnedFile, check_digest, obtain, wrong_digest
from wheretolook.images.class_level import class_level
from wheretolook.images.raw_data import image_paths
from wheretolook.images.scan import scan_classes
from wheretolook.sources.archive import (
    check_entries,
    naming_archive,
    plan_labelled,
    plan_unpacking,
    unpack,
    unpack_planned,
)
from wheretolook.sources.archive_entries import Entry
from wheretolook.sources.archive_names import safe_parts
from wheretolook.sources.label_columns import LabelOptions
from wheretolook.sources.label_table import read_table
from wheretolook.sources.labelled import write_labelled

# The files downloaded so far, in the folder of an unfinished download: one line "SHA-256, two spaces, id" for each.
PROGRESS = "fetched"
NO_TABLE = LabelOptions("")
PROGRESS_LINE = re.compile(r"([0-9a-f]{64})  (\S+)")

# SHA-256 and path of each file, sorted by path. The SHA-256 of the lines "SHA-256, two spaces, path" pins the folder.
Listing = list[tuple[str, str]]


def drive_folder_id(source: str) -> str:
    """The id of the folder that a Google Drive link points to; '' for any other source."""
    link = read_drive_link(source)
    return link.identifier if link is not None and link.kind == "folder" else ""


def download_drive_folder(pinned: PinnedFile, cache: Path, policy: RetryPolicy) -> Listing:
    """Download every file of a Drive folder that is not in the cache.

    Args:
        pinned: the folder's link, and the SHA-256 of its listing.
        cache: folder of the content cache.
        policy: timeout and retries of each download.

    Returns:
        SHA-256 and path of each file, sorted by path.

    Raises:
        InputError: the folder or one of its files is not available, two files have the same path, or the SHA-256 of the
            listing differs from the expected one. If none is given, `found` is the SHA-256 of the listing.
    """
    check_digest(pinned)
    store = ContentCache(cache)
    if (listing := _cached(store, pinned.sha256)) is not None:
        return listing
    with store.partial(pinned.source, pinned.sha256) as folder:
        resumed = (folder / PROGRESS).exists()
        digest = _download(pinned, store, folder, policy)
        if resumed and digest != pinned.sha256:
            # A file may have changed since an earlier attempt downloaded it.
            (folder / PROGRESS).unlink()
            digest = _download(pinned, store, folder, policy)
        if digest != pinned.sha256:
            raise wrong_digest(pinned, digest, "folder")
    listing = _cached(store, digest)
    assert listing is not None
    return listing


def _cached(store: ContentCache, digest: str) -> Listing | None:
    path = store.get(digest)
    if path is None:
        return None
    # Not splitlines: a name may contain other line separators.
    lines = path.read_text(encoding="utf-8").split("\n")[:-1]
    listing = [(digest, name) for digest, _, name in (line.partition("  ") for line in lines)]
    return listing if all(store.get(file) for file, _ in listing) else None


def _download(pinned: PinnedFile, store: ContentCache, folder: Path, policy: RetryPolicy) -> str:
    """Download the missing files one by one, store the listing in the cache, and return its SHA-256."""
    files = list_drive_folder(drive_folder_id(pinned.source), pinned.source, policy)
    with naming_archive(pinned.source):
        check_entries([Entry(path, 0, "file") for path in files])
    fetched = _read_progress(folder / PROGRESS)
    for identifier in tqdm(files.values(), desc=folder.name[:8], unit="file", disable=None):
        if not (identifier in fetched and store.get(fetched[identifier])):
            scratch = folder / identifier
            scratch.mkdir(exist_ok=True)
            drive_file(identifier, scratch, policy)
            fetched[identifier] = store.put(scratch / "content").name
            _record_progress(folder / PROGRESS, identifier, fetched[identifier])
    lines = sorted((path, fetched[identifier]) for path, identifier in files.items())
    write_text(folder / "listing", "".join(f"{digest}  {path}\n" for path, digest in lines))
    return store.put(folder / "listing").name


def _read_progress(path: Path) -> dict[str, str]:
    """SHA-256 by id of each file that an earlier attempt downloaded."""
    lines = path.read_text(encoding="utf-8", errors="replace").split("\n") if path.exists() else []
    # The last line is empty or truncated.
    return {match[2]: match[1] for line in lines[:-1] if (match := PROGRESS_LINE.fullmatch(line))}


def _record_progress(path: Path, identifier: str, digest: str) -> None:
    with naming(path), path.open("a", encoding="utf-8") as file:
        file.write(f"{digest}  {identifier}\n")


def copy_listing(listing: Listing, paths: Mapping[int, PurePosixPath], cache: Path, folder: Path) -> None:
    """Copy files from the cache to a folder, which is replaced as a whole.

    Args:
        listing: files in the cache.
        paths: position in the listing to path below the folder.
        cache: folder of the content cache.
        folder: the target folder.
    """
    store = ContentCache(cache)
    with replacing_folder(folder, recorded=False) as scratch:
        for place, path in paths.items():
            target = scratch / path
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(store.path(listing[place][0]), target)


def fetch_archive(
    pinned: PinnedFile, root: str, masks: str, folder: Path, cache: Path, policy: RetryPolicy
) -> tuple[str, ...]:
    """Download an archive, verify its SHA-256, and unpack it to FOLDER/images and FOLDER/masks.

    Args:
        pinned: path, http(s) URL or Drive link of the archive, and its SHA-256.
        root: the folder of the archive that holds the class folders; '.' for the top, '' finds it.
        masks: the folder of the archive that holds the masks; '' for none.
        folder: `images` and `masks` in it are replaced, each as a whole or not at all.
        cache: folder of the content cache, ".cache" in the pipeline.
        policy: timeout and retries of the download.

    Raises:
        InputError: the archive is not available, has another SHA-256, or cannot be unpacked.

    Returns:
        Names of the files that were not unpacked because they have no image suffix.
    """
    archive = obtain(pinned, cache, policy)
    try:
        ignored = unpack(archive, folder / "images", root, without=masks)
        if masks:
            unpack(archive, folder / "masks", masks, parameter="masks")
    except InputError as error:
        subject = error.subject.replace(str(archive), pinned.source)
        raise InputError(subject, error.expected, error.found, error.hint) from error
    return ignored


def fetch_drive(
    pinned: PinnedFile, root: str, masks: str, folder: Path, cache: Path, policy: RetryPolicy
) -> tuple[str, ...]:
    """As `fetch_archive`, for a Google Drive link to an archive, or to a folder of files.

    The SHA-256 of a folder is that of its listing: one line "SHA-256, two spaces, path" for each file, sorted by path.
    If none is given, the error shows it.
    """
    if not drive_folder_id(pinned.source):
        return fetch_archive(pinned, root, masks, folder, cache, policy)
    listing = download_drive_folder(pinned, cache, policy)
    files = [Entry(path, 0, "file") for _, path in listing]
    with naming_archive(pinned.source):
        plan = plan_unpacking(files, root, without=masks)
        copy_listing(listing, plan.paths, cache, folder / "images")
        if masks:
            mask_paths = plan_unpacking(files, masks, parameter="masks").paths
            copy_listing(listing, mask_paths, cache, folder / "masks")
    return plan.ignored


def fetch_outside(
    given: Mapping[str, str], folder: Path, cache: Path, policy: RetryPolicy, labels: LabelOptions = NO_TABLE
) -> tuple[str, ...]:
    """Fetch the data of the sources `archive` and `drive`.

    Args:
        given: sha256, root, masks, and one of path, url and id.
        folder: `images` and, if there are masks, `masks` are written to it.
        cache: folder of the content cache.
        policy: timeout and retries of a download.
        labels: tables of labels, if there are any.

    Returns:
        Names of the files that were not unpacked because they have no image suffix.

    Raises:
        InputError: as `fetch_drive`; no class folders; as `write_labelled`.
    """
    pinned = wanted_of(given)
    if labels.labels:
        return _fetch_labelled(pinned, given["root"], given["masks"], labels, folder, cache, policy)
    ignored = fetch_drive(pinned, given["root"], given["masks"], folder, cache, policy)
    _check_classes(folder / "images", given["root"], pinned.source)
    return ignored


def _fetch_labelled(
    pinned: PinnedFile, root: str, masks: str, labels: LabelOptions, folder: Path, cache: Path, policy: RetryPolicy
) -> tuple[str, ...]:
    """Unpack all images and the tables of labels, then move the images into class folders."""
    unpacked = folder / "unpacked"
    if drive_folder_id(pinned.source):
        listing = download_drive_folder(pinned, cache, policy)
        with naming_archive(pinned.source):
            plan = plan_labelled([Entry(path, 0, "file") for _, path in listing], labels.files)
        copy_listing(listing, plan.paths, cache, unpacked)
    else:
        archive = obtain(pinned, cache, policy)
        unpack_planned(archive, unpacked, lambda entries: plan_labelled(entries, labels.files))
    inside = {option: unpacked.joinpath(*safe_parts(name)) for option, name in (("root", root), ("masks", masks))}
    for option, name in (("root", root), ("masks", masks)):
        if name and not inside[option].is_dir():
            found = ", ".join(sorted(path.name for path in unpacked.iterdir() if path.is_dir())[:12]) or "no folder"
            raise InputError(f"fetch.{option}", "a folder of the archive with images", f"{name!r}; it has {found}")
    tables = [read_table(name, _table(name, unpacked).read_bytes()) for name in labels.files]
    ignored = write_labelled(inside["root"], inside["masks"] if masks else None, tables, labels, folder, move=True)
    shutil.rmtree(unpacked)
    return ignored


def _table(name: str, unpacked: Path) -> Path:
    """A table of the archive, by its path or the end of it; else one on this machine."""
    ends = safe_parts(name.lstrip("/"))
    within = (path for path in unpacked.rglob(glob.escape(ends[-1])) if path.parts[-len(ends) :] == ends)
    path = next((path for path in (unpacked.joinpath(*ends), *within, Path(name)) if path.is_file()), None)
    if path is None:
        raise InputError(name, "a table in the archive, or on this machine", "no such file", "check fetch.labels")
    return path


def _check_classes(images: Path, root: str, source: str) -> None:
    """Check that there are class folders. Errors name the path in the archive, not that of the scratch folder.

    Args:
        images: the unpacked folder.
        root: its path in the archive; '' if that was not given.
        source: path or URL of the archive.

    Raises:
        InputError: as `scan_classes`. If `root` is an outer folder of the class folders, the hint gives the right one.
    """
    try:
        scan_classes(images)
    except InputError as error:
        subject = error.subject.replace(str(images), f"{source}: {root}" if root else source)
        level = class_level(path.relative_to(images).parts for path in image_paths(images))
        lower = "/".join((*safe_parts(root), *level.head))
        hint = f"set `fetch.root: {lower}`" if level.head else error.hint
        raise InputError(subject, error.expected, error.found, hint) from error


def wanted_of(given: Mapping[str, str]) -> PinnedFile:
    """Source and SHA-256 of the archive or Drive folder, from `sha256` and one of path, url and id."""
    source = drive_link(given["id"]) if "id" in given else given.get("url") or str(given["path"])
    return PinnedFile(source, given["sha256"], "fetch.sha256")
