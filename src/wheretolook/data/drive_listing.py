"""What stands in a folder of Google Drive, folders within folders included."""

from functools import partial

import requests

from wheretolook.data.attempts import Patience, attempt
from wheretolook.data.download_failures import network_failure
from wheretolook.data.drive_failures import folder_failure
from wheretolook.data.header_deadline import header_deadline
from wheretolook.data.refusal import Refusal

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
        Refusal: a page can't be had, the folder is empty, stands inside itself, or holds two files of one name.
    """
    files: dict[str, str] = {}
    waiting, seen = [("", identifier)], set()
    while waiting:
        parent, folder = waiting.pop(0)
        if folder in seen:
            raise Refusal(f"{source}: expected folders within folders, found {parent!r} inside itself; give another")
        seen.add(folder)
        for child, name, kind in attempt(partial(_children, folder, patience), source, patience):
            path = f"{parent}{name.replace('/', '_')}"
            if kind == FOLDER:
                waiting.append((f"{path}/", child))
            elif kind.startswith(NATIVE):
                continue
            elif path in files:
                raise Refusal(f"{source}: expected one file of each name, found two of {path!r}; rename one")
            else:
                files[path] = child
    if not files:
        raise Refusal(f"{source}: expected a folder with files, found none; share it with 'Anyone with the link'")
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
