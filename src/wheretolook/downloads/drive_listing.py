"""What stands in a folder of Google Drive, folders within folders included."""

from difflib import get_close_matches
from functools import partial

import requests

from wheretolook.base.errors import InputError
from wheretolook.downloads.attempts import Patience, attempt, header_deadline
from wheretolook.downloads.drive import folder_failure
from wheretolook.downloads.drive_links import DriveLink, folder_link, read_drive_link
from wheretolook.downloads.http import network_failure

FOLDER = "application/vnd.google-apps.folder"
# Documents, sheets and the like, which have no bytes of their own.
NATIVE = "application/vnd.google-apps."


def list_drive_folder(identifier: str, source: str, patience: Patience) -> dict[str, str]:
    """Path to id of every file below a folder of Drive; Google's own documents are left out.

    Args:
        identifier: the folder's id.
        source: its link, for messages.
        patience: of each page.

    Raises:
        InputError: a page can't be had, the folder is empty, stands inside itself, or holds two files of one name.
    """
    files: dict[str, str] = {}
    waiting, seen = [("", identifier)], set()
    while waiting:
        parent, folder = waiting.pop(0)
        if folder in seen:
            raise InputError(
                source, expected="folders within folders", found=f"{parent!r} inside itself", hint="give another"
            )
        seen.add(folder)
        for child, name, kind in attempt(partial(_children, folder, patience), source, patience):
            path = f"{parent}{name.replace('/', '_')}"
            if kind == FOLDER:
                waiting.append((f"{path}/", child))
            elif kind.startswith(NATIVE):
                continue
            elif path in files:
                raise InputError(source, expected="one file of each name", found=f"two of {path!r}", hint="rename one")
            else:
                files[path] = child
    if not files:
        raise InputError(
            source, expected="a folder with files", found="none", hint="share it with 'Anyone with the link'"
        )
    return files


def _children(identifier: str, patience: Patience) -> list[tuple[str, str, str]]:
    """(id, name, type) of what stands in one folder."""
    import gdown

    # gdown's public function walks the whole tree in one go: without an end where a folder stands in itself, without
    # a retry, and without a word on which folder failed. The page itself is read by the part of it that reads one.
    from gdown.download_folder import _parse_embedded_folder_view as read_page

    try:
        with header_deadline(), requests.Session() as session:
            return read_page(sess=session, folder_id=identifier, verify=True, timeout=patience.timeout)[1]
    except gdown.exceptions.DownloadError as error:
        raise folder_failure(identifier, patience) from error
    except requests.RequestException as error:
        raise network_failure(error, "https://drive.google.com") from error


MODEL_SUFFIXES = (".pt", ".pth", ".ckpt", ".bin", ".safetensors", ".tar")
_SHOWN = 20


def folder_address(folder: str) -> str:
    """The link of a folder that is given by its id, or by any link to it.

    Raises:
        InputError: a link of something else.
    """
    if "/" not in folder:
        return folder_link(folder)
    link = read_drive_link(folder)
    if link is None or link.kind != "folder":
        raise InputError(
            folder, "the id or link of a Drive folder", "another link", "Open the folder in Drive and copy its address"
        )
    return folder_link(link.identifier)


def file_in_folder(folder: str, file: str, patience: Patience) -> str:
    """The id of a file in a folder of Drive.

    Args:
        folder: the folder's link.
        file: its path in there, "best.pt" or "run 2/best.pt".
        patience: of each page of the list.

    Raises:
        InputError: the folder can't be listed, or holds no such file; the message lists those that it holds.
    """
    link = read_drive_link(folder)
    assert link is not None
    files = list_drive_folder(link.identifier, folder, patience)
    if file in files:
        return files[file]
    near = get_close_matches(file, files, n=1)
    raise InputError(
        folder,
        f"a file named {file!r}",
        _listed(list(files)),
        f"Did you mean {near[0]!r}?" if near else "Name one of them by `file`",
    )


def folder_instead(source: str, setting: str, link: DriveLink, patience: Patience) -> InputError:
    """The error for a folder's link where a file is expected, with an entry to paste for each model that it holds.

    Args:
        source: the link.
        setting: the parameter that holds the SHA-256, such as "drive.last-9.sha256".
        link: what the link leads to.
        patience: of each page of the list.
    """
    expected = "the link of a file"
    try:
        files = list(list_drive_folder(link.identifier, source, patience))
    except InputError:  # not shared, or no network: that it is a folder is said all the same
        return InputError(source, expected, "that of a folder", "Open it, and share the file")
    if not setting.startswith("drive."):
        return InputError(source, expected, f"that of a folder with {_listed(files)}", "Give the file's link")
    models = [file for file in files if file.lower().endswith(MODEL_SUFFIXES)] or files
    entries = "\n".join(f'    folder: {link.identifier}\n    file: "{file}"' for file in models[:_SHOWN])
    return InputError(
        source,
        expected,
        f"that of a folder with {_listed(files)}",
        f"In place of url, give folder and file, as one of:\n{entries}",
    )


def _listed(files: list[str]) -> str:
    more = len(files) - _SHOWN
    return ", ".join(files[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
