"""Links of Google Drive, and the listing of a folder and its subfolders."""

import json
import re
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial
from pathlib import PurePosixPath
from urllib.parse import parse_qs, urlsplit

import requests

from wheretolook.base.errors import InputError
from wheretolook.downloads.attempts import RetryPolicy, attempt, header_deadline
from wheretolook.downloads.drive import folder_failure
from wheretolook.downloads.http import network_failure

HOSTS = ("drive.google.com", "docs.google.com", "drive.usercontent.google.com")
_ID = r"[-\w]+"
_FOLDER = re.compile(rf"/drive/(?:u/\d+/)?(?:mobile/)?folders/({_ID})(?:/.*)?")
_FILE = re.compile(rf"/(?:a/[^/]+/)?file/(?:u/\d+/)?d/({_ID})(?:/.*)?")
_DOCUMENT = re.compile(rf"/(document|spreadsheets|presentation|forms)/(?:u/\d+/)?d/({_ID})(?:/.*)?")
_BY_QUERY = {"/open": "file", "/uc": "file", "/download": "file", "/thumbnail": "file", "/folderview": "folder",
             "/embeddedfolderview": "folder"}  # fmt: skip


@dataclass(frozen=True)
class DriveLink:
    """What a link of Google Drive leads to.

    Attributes:
        kind: "file", "folder" or "document" (of Google Docs and the like, which has no bytes).
        identifier: its id.
        resource_key: a second key that links to files from before 2021 need; empty for others.
    """

    kind: str
    identifier: str
    resource_key: str = ""


def read_drive_link(source: str) -> DriveLink | None:
    """The file or folder that a link leads to; None for any other source, such as a path or a URL of another host."""
    if not source.lower().startswith(("https://", "http://")):
        return None
    try:
        parts = urlsplit(source)
        host = parts.hostname
    except ValueError:
        return None
    if host not in HOSTS:
        return None
    query = parse_qs(parts.query)
    resource_key = query.get("resourcekey", [""])[0]
    # /a/DOMAIN/ and /u/0/ name an account, not the file.
    path = re.sub(r"^/(?:a/[^/]+/)?(?:u/\d+/)?", "/", parts.path).rstrip("/") or "/"
    for kind, pattern in (("folder", _FOLDER), ("file", _FILE)):
        if match := pattern.fullmatch(path):
            return DriveLink(kind, match[1], resource_key)
    if match := _DOCUMENT.fullmatch(path):
        return DriveLink("document", match[2], resource_key)
    queried, identifiers = _BY_QUERY.get(path), query.get("id", [])
    return DriveLink(queried, identifiers[0], resource_key) if queried and len(identifiers) == 1 else None


def folder_link(identifier: str) -> str:
    """The link of a folder of Drive."""
    return f"https://drive.google.com/drive/folders/{identifier}"


def drive_id(source: str) -> str:
    """The id of the file that a Google Drive link leads to; '' for a folder's link or any other source."""
    link = read_drive_link(source)
    return "" if link is None or link.kind == "folder" else link.identifier


FOLDER = "application/vnd.google-apps.folder"
# Google Docs, Sheets and the like, which have no bytes.
NATIVE = "application/vnd.google-apps."
# Characters of a file's name in the name of an entry.
_LONGEST_STEM = 40


def list_drive_folder(identifier: str, source: str, policy: RetryPolicy) -> dict[str, str]:
    """Path and id of every file below a Drive folder, without Google Docs and the like.

    Args:
        identifier: the folder's id.
        source: its link, for messages.
        policy: timeout and retries for each page.

    Raises:
        InputError: a page cannot be loaded, or the folder is empty, contains itself, or has two files of one name.
    """
    files: dict[str, str] = {}
    waiting, seen = [("", identifier)], set()
    while waiting:
        parent, folder = waiting.pop(0)
        if folder in seen:
            raise InputError(source, "a folder", f"{parent!r} inside itself", "give another folder")
        seen.add(folder)
        for child, name, kind in attempt(partial(_children, folder, policy), source, policy):
            path = f"{parent}{name.replace('/', '_')}"
            if kind == FOLDER:
                waiting.append((f"{path}/", child))
            elif kind.startswith(NATIVE):
                continue
            elif path in files:
                raise InputError(source, "unique file names", f"two files {path!r}", "rename one of them")
            else:
                files[path] = child
    if not files:
        hint = "set General access of the folder to 'Anyone with the link'"
        raise InputError(source, "a folder with files", "an empty or private folder", hint)
    return files


def _children(identifier: str, policy: RetryPolicy) -> list[tuple[str, str, str]]:
    """(id, name, type) of each item in one folder."""
    import gdown

    # gdown's public function walks the whole tree: endlessly if a folder contains itself, without retries, and
    # without naming the folder that failed. Its private function reads a single page.
    from gdown.download_folder import _parse_embedded_folder_view as read_page

    try:
        with header_deadline(), requests.Session() as session:
            return read_page(sess=session, folder_id=identifier, verify=True, timeout=policy.timeout)[1]
    except gdown.exceptions.DownloadError as error:
        raise folder_failure(identifier, policy) from error
    except requests.RequestException as error:
        raise network_failure(error, "https://drive.google.com") from error


MODEL_SUFFIXES = (".pt", ".pth", ".ckpt", ".bin", ".safetensors", ".tar")
_SHOWN = 20


def folder_address(folder: str) -> str:
    """The link of a folder, from its id or any link to it.

    Raises:
        InputError: the link is not of a folder.
    """
    if "/" not in folder:
        return folder_link(folder)
    link = read_drive_link(folder)
    if link is None or link.kind != "folder":
        raise InputError(
            folder, "the id or link of a Drive folder", "another link", "Open the folder in Drive and copy its address"
        )
    return folder_link(link.identifier)


def file_in_folder(folder: str, file: str, policy: RetryPolicy) -> str:
    """The id of a file in a Drive folder.

    Args:
        folder: the folder's link.
        file: path inside the folder, such as "best.pt" or "run 2/best.pt".
        policy: timeout and retries for each page of the listing.

    Raises:
        InputError: the folder cannot be listed, or has no such file; then `found` lists its files.
    """
    link = read_drive_link(folder)
    assert link is not None
    files = list_drive_folder(link.identifier, folder, policy)
    if file in files:
        return files[file]
    near = get_close_matches(file, files, n=1)
    raise InputError(
        folder,
        f"a file named {file!r}",
        _listed(list(files)),
        f"Did you mean {near[0]!r}?" if near else "Set `file` to one of them",
    )


def folder_instead(source: str, setting: str, link: DriveLink, policy: RetryPolicy) -> InputError:
    """The error for a folder's link where a file is expected; its hint has an entry to paste for each model file.

    Args:
        source: the link.
        setting: the parameter of the SHA-256, such as "drive.last-9.sha256".
        link: the parsed link.
        policy: timeout and retries for each page of the listing.
    """
    expected = "the link of a file"
    try:
        files = list(list_drive_folder(link.identifier, source, policy))
    except InputError:  # private, or no connection: report the folder anyway
        return InputError(source, expected, "the link of a folder", "Open the folder, and copy the link of the file")
    if not setting.startswith("drive."):
        return InputError(source, expected, f"the link of a folder with {_listed(files)}", "Give the link of the file")
    models = [file for file in files if file.lower().endswith(MODEL_SUFFIXES)] or files
    entries = "\n".join(f'    folder: {link.identifier}\n    file: "{file}"' for file in models[:_SHOWN])
    return InputError(
        source,
        expected,
        f"the link of a folder with {_listed(files)}",
        f"Replace url by folder and file, as in one of:\n{entries}",
    )


def folder_entries(folder: str, patience: RetryPolicy) -> str:
    """Entries of `drive` in params.yaml, to paste, for the model files in a Drive folder (all files if it has none).

    Args:
        folder: its id or link.
        patience: timeout and retries for each page of the listing.

    Raises:
        InputError: the link is not of a folder, or the folder cannot be listed.
    """
    address = folder_address(folder)
    link = read_drive_link(address)
    assert link is not None
    files = list(list_drive_folder(link.identifier, address, patience))
    models = [file for file in files if file.lower().endswith(MODEL_SUFFIXES)] or files
    lines = ["drive:"]
    names: set[str] = set()
    for file in models:
        name = wanted = re.sub("[^A-Za-z0-9_-]+", "-", PurePosixPath(file).stem).strip("-_")[:_LONGEST_STEM] or "model"
        if not wanted[0].isalpha():
            name = wanted = f"model-{wanted}"
        number = 1
        while name in names:
            number += 1
            name = f"{wanted}-{number}"
        names.add(name)
        # JSON's quotes are YAML's.
        lines += [f"  {name}:", f"    folder: {link.identifier}", f"    file: {json.dumps(file, ensure_ascii=False)}"]
    return "\n".join(lines) + "\n"


def _listed(files: list[str]) -> str:
    more = len(files) - _SHOWN
    return ", ".join(files[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
