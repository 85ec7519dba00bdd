"""Parsing of Google Drive links, as copied from a browser, a phone, an email or the share dialog."""

import re
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

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
