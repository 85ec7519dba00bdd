"""Images, and masks where there are any, from an archive (path, URL, Drive) or from a folder on Google Drive."""

from collections.abc import Mapping
from pathlib import Path

from wheretolook.data.archive import unpack
from wheretolook.data.archive_entries import Entry
from wheretolook.data.archive_names import safe_parts
from wheretolook.data.archive_plan import make_plan
from wheretolook.data.attempts import Patience
from wheretolook.data.class_level import class_level
from wheretolook.data.decode import SUFFIXES
from wheretolook.data.drive import drive_link
from wheretolook.data.drive_folder import copy_listing, drive_folder_id, obtain_drive_folder
from wheretolook.data.obtain import Wanted, obtain
from wheretolook.data.refusal import Refusal
from wheretolook.data.scan import image_paths, scan_classes


def fetch_archive(
    wanted: Wanted, root: str, masks: str, folder: Path, cache: Path, patience: Patience
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
        Refusal: it can't be had, holds other bytes, or is not to be unpacked.

    Returns:
        Names of the files that stayed behind, since they are no images by their suffix.
    """
    archive = obtain(wanted, cache, patience)
    try:
        ignored = unpack(archive, folder / "images", root, without=masks)
        if masks:
            unpack(archive, folder / "masks", masks, called="masks")
    except Refusal as refusal:
        subject = refusal.subject.replace(str(archive), wanted.source)
        raise Refusal(subject, refusal.expected, refusal.found, refusal.hint) from refusal
    return ignored


def fetch_drive(
    wanted: Wanted, root: str, masks: str, folder: Path, cache: Path, patience: Patience
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
        Refusal: as `fetch_drive`; no class folders; or no masks where masks were asked for.
    """
    wanted = wanted_of(given)
    ignored = fetch_drive(wanted, given["root"], given["masks"], folder, cache, patience)
    _check_classes(folder / "images", given["root"], wanted.source)
    if given["masks"] and not image_paths(folder / "masks"):
        kinds = ", ".join(sorted(SUFFIXES))
        raise Refusal(f"{given['masks']}: expected masks ({kinds}), found none; '' stands for no masks")
    return ignored


def _check_classes(images: Path, root: str, source: str) -> None:
    """Refuse what is no folder of class folders, by its name in the archive: the scratch folder's says nothing.

    Args:
        images: what was unpacked.
        root: the folder that it was in the archive; '' for the one that was found.
        source: the archive.

    Raises:
        Refusal: as `scan_classes`; with the `root` to write where that stood too high.
    """
    try:
        scan_classes(images)
    except Refusal as refusal:
        found = str(refusal).replace(str(images), f"{source}: {root}" if root else source)
        level = class_level(path.relative_to(images).parts for path in image_paths(images))
        lower = "/".join((*safe_parts(root), *level.head))
        raise Refusal(found + (f"; set `fetch.root: {lower}`" if level.head else "")) from refusal


def wanted_of(given: Mapping[str, str]) -> Wanted:
    """What is to be brought: given one of path, url and id, and sha256."""
    source = drive_link(given["id"]) if "id" in given else given.get("url") or str(given["path"])
    return Wanted(source, given["sha256"], "fetch.sha256")
