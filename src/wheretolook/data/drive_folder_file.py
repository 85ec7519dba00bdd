"""One file of a folder of Google Drive, by its name there; and what a folder holds, as entries to paste."""

from difflib import get_close_matches

from wheretolook.data.attempts import Patience
from wheretolook.data.drive_links import DriveLink, folder_link, read_drive_link
from wheretolook.data.drive_listing import list_drive_folder
from wheretolook.errors import InputError

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
