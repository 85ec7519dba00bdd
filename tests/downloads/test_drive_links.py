"""Links of Google Drive, as a browser, a phone and the share dialog give them."""

import pytest

from wheretolook.downloads.drive_listing import DriveLink, read_drive_link

ID = "1AbCdEfGhIjKlMnOpQrStUvWxYz_0123-"
GOOGLE = "https://drive.google.com"


@pytest.mark.parametrize(
    ("link", "kind"),
    [
        ("/uc?id={}", "file"),
        ("/uc?export=download&id={}", "file"),
        ("/open?id={}", "file"),
        ("/open?usp=drive_fs&id={}", "file"),
        ("/file/d/{}", "file"),
        ("/file/d/{}/view?usp=sharing", "file"),
        ("/file/d/{}/view?usp=drivesdk", "file"),
        ("/file/u/1/d/{}/edit", "file"),
        ("/a/example.org/file/d/{}/view", "file"),
        ("/u/0/uc?id={}&export=download", "file"),
        ("/drive/folders/{}", "folder"),
        ("/drive/u/0/folders/{}?usp=sharing", "folder"),
        ("/drive/mobile/folders/{}", "folder"),
        ("/drive/u/0/mobile/folders/{}?usp=sharing&sort=13", "folder"),
        ("/folderview?id={}", "folder"),
        ("/folderview?id={}&usp=sharing", "folder"),
        ("/embeddedfolderview?id={}#list", "folder"),
        ("/a/example.org/folderview?id={}", "folder"),
    ],
)
def test_a_link_of_any_make_is_understood(link: str, kind: str) -> None:
    assert read_drive_link(GOOGLE + link.format(ID)) == DriveLink(kind, ID)


def test_a_resource_key_is_kept() -> None:
    link = f"{GOOGLE}/file/d/{ID}/view?usp=sharing&resourcekey=0-abc"
    assert read_drive_link(link) == DriveLink("file", ID, "0-abc")


def test_a_document_has_no_bytes() -> None:
    assert read_drive_link(f"https://docs.google.com/document/d/{ID}/edit").kind == "document"


@pytest.mark.parametrize(
    "source",
    ["x.pt", f"https://example.org/uc?id={ID}", GOOGLE, f"{GOOGLE}/drive/my-drive", "https://[1", f"{GOOGLE}/uc"],
)
def test_other_sources_are_none_of_drives(source: str) -> None:
    assert read_drive_link(source) is None
