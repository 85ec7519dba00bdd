"""Links of Google Drive, as a browser, a phone, a mail and the share dialog give them."""

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
        kind: "file", "folder" or "document" (one of Google's own, which has no bytes).
        identifier: its id.
        resource_key: a second key, which links of files from before 2021 need; empty for others.
    """

    kind: str
    identifier: str
    resource_key: str = ""


def read_drive_link(source: str) -> DriveLink | None:
    """The file or folder that a link leads to; None for any other source, as a path or another host's address."""
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
    # /a/DOMAIN/ and /u/0/ name an account, and not what is there.
    path = re.sub(r"^/(?:a/[^/]+/)?(?:u/\d+/)?", "/", parts.path).rstrip("/") or "/"
    for kind, pattern in (("folder", _FOLDER), ("file", _FILE)):
        if match := pattern.fullmatch(path):
            return DriveLink(kind, match[1], resource_key)
    if match := _DOCUMENT.fullmatch(path):
        return DriveLink("document", match[2], resource_key)
    kind, identifiers = _BY_QUERY.get(path), query.get("id", [])
    return DriveLink(kind, identifiers[0], resource_key) if kind and len(identifiers) == 1 else None


def folder_link(identifier: str) -> str:
    """The link of a folder of Drive."""
    return f"https://drive.google.com/drive/folders/{identifier}"
