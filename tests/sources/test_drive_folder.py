"""Folders of Google Drive: listed, fetched file by file, pinned as a whole; and archives that stand there."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.drive_server.drive import Drive, Folder
from tests.drive_server.served import Served
from tests.sources.archives import TWO_CLASSES, tree, write_zip
from wheretolook.base.errors import InputError
from wheretolook.downloads.attempts import RetryPolicy
from wheretolook.downloads.drive import drive_file, drive_link
from wheretolook.downloads.obtain import PinnedFile
from wheretolook.sources import archive_source as drive_folder
from wheretolook.sources.archive_source import PROGRESS, fetch_archive, fetch_drive

PATIENT = RetryPolicy(timeout=5, retries=1, pause=0.001)


def key(name: str) -> str:
    return f"1{name:_<28}"


LINK = f"https://drive.google.com/drive/folders/{key('top')}?usp=sharing"
IMAGES = {"cells/healthy/1.png": b"three", "cells/infected/1.png": b"one", "cells/infected/2.png": b"two"}


def listing_digest(files: dict[str, bytes]) -> str:
    lines = (f"{hashlib.sha256(content).hexdigest()}  {path}\n" for path, content in sorted(files.items()))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


@pytest.fixture
def drive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Drive]:
    with Drive(tmp_path) as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        server.folders = {
            key("top"): Folder("top", {}, {"cells": key("cells")}),
            key("cells"): Folder("cells", {}, {"infected": key("infected"), "healthy": key("healthy")}),
            key("infected"): Folder("infected", {"1.png": key("i1"), "2.png": key("i2")}, {}),
            key("healthy"): Folder("healthy", {"1.png": key("h1")}, {}),
        }
        server.files = {key("i1"): Served(b"one"), key("i2"): Served(b"two"), key("h1"): Served(b"three")}
        yield server


def fetch(folder: Path, sha256: str, root: str = "", masks: str = "") -> dict[str, bytes]:
    wanted = PinnedFile(LINK, sha256, "fetch.sha256")
    fetch_drive(wanted, root, masks, folder / "raw", folder / "cache", PATIENT)
    return tree(folder / "raw")


def test_a_folder_comes_whole_and_needs_no_network_again(drive: Drive, tmp_path: Path) -> None:
    expected = {f"images/{path.removeprefix('cells/')}": content for path, content in IMAGES.items()}
    assert fetch(tmp_path, listing_digest(IMAGES)) == expected
    asked = len(drive.tally.requests)
    (tmp_path / "raw" / "images" / "healthy" / "1.png").unlink()
    assert fetch(tmp_path, listing_digest(IMAGES)) == expected
    assert len(drive.tally.requests) == asked


def test_the_checksum_of_a_folder_is_printed_ready_to_paste(drive: Drive, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"The folder has SHA-256 {listing_digest(IMAGES)}"):
        fetch(tmp_path, "")
    asked = len(drive.tally.requests)
    fetch(tmp_path, listing_digest(IMAGES))
    assert len(drive.tally.requests) == asked


def test_a_folder_in_which_one_file_changed_is_refused(drive: Drive, tmp_path: Path) -> None:
    drive.files[key("i2")] = Served(b"TWO")
    seen = listing_digest(IMAGES | {"cells/infected/2.png": b"TWO"})
    with pytest.raises(InputError) as caught:
        fetch(tmp_path, listing_digest(IMAGES))
    assert listing_digest(IMAGES) in caught.value.expected and caught.value.found == seen
    assert not (tmp_path / "raw").exists()


def test_what_came_before_a_failure_is_not_fetched_again(drive: Drive, tmp_path: Path) -> None:
    drive.files[key("h1")] = Served(kind="quota")
    with pytest.raises(InputError, match="quota"):
        fetch(tmp_path, listing_digest(IMAGES))
    drive.files[key("h1")] = Served(b"three")
    sent = drive.tally.body_bytes
    fetch(tmp_path, listing_digest(IMAGES))
    assert drive.tally.body_bytes == sent + len(b"three")


def test_what_a_kill_leaves_grows_by_a_line_a_file_and_is_gone_on_from(
    drive: Drive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lengths = []

    def killed(identifier: str, folder: Path, policy: RetryPolicy) -> bool:
        progress = folder.parent / PROGRESS
        lengths.append(len(progress.read_bytes().splitlines()) if progress.exists() else 0)
        if identifier == key("h1"):
            raise KeyboardInterrupt
        return drive_file(identifier, folder, policy)

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(drive_folder, "drive_file", killed)
        fetch(tmp_path, listing_digest(IMAGES))
    assert lengths == [0, 1, 2]
    # Cut short by a machine that went down: a line without its end is forgotten, and so is none before it.
    progress = next(tmp_path.rglob(PROGRESS))
    progress.write_bytes(progress.read_bytes()[:-1])
    sent = drive.tally.body_bytes
    assert len(fetch(tmp_path, listing_digest(IMAGES))) == 3
    assert drive.tally.body_bytes == sent + len(b"two") + len(b"three")


def test_a_file_that_changed_between_two_runs_is_fetched_again(drive: Drive, tmp_path: Path) -> None:
    drive.files[key("i1")] = Served(b"old")
    drive.files[key("h1")] = Served(kind="quota")
    with pytest.raises(InputError, match="quota"):
        fetch(tmp_path, listing_digest(IMAGES))
    drive.files |= {key("i1"): Served(b"one"), key("h1"): Served(b"three")}
    assert fetch(tmp_path, listing_digest(IMAGES))["images/infected/1.png"] == b"one"


def test_masks_may_be_beside_the_images(drive: Drive, tmp_path: Path) -> None:
    drive.folders[key("top")].folders["masks"] = key("masks")
    drive.folders[key("masks")] = Folder("masks", {}, {"infected": key("masked")})
    drive.folders[key("masked")] = Folder("infected", {"1.png": key("m1")}, {})
    drive.files[key("m1")] = Served(b"mask")
    digest = listing_digest(IMAGES | {"masks/infected/1.png": b"mask"})
    found = fetch(tmp_path, digest, root="cells", masks="masks")
    assert found["masks/infected/1.png"] == b"mask"
    assert sorted(found) == ["images/healthy/1.png", "images/infected/1.png", "images/infected/2.png",
                             "masks/infected/1.png"]  # fmt: skip


def test_names_that_would_leave_the_folder_do_not(drive: Drive, tmp_path: Path) -> None:
    drive.folders[key("infected")].folders[".."] = key("above")
    drive.folders[key("above")] = Folder("..", {"escaped.png": key("i1")}, {})
    with pytest.raises(InputError, match=r"'cells/infected/\.\./escaped\.png': expected a path inside"):
        fetch(tmp_path, listing_digest(IMAGES))
    assert not list(tmp_path.rglob("escaped.png"))


def test_a_name_that_holds_the_end_of_a_line_is_one_line(drive: Drive, tmp_path: Path) -> None:
    drive.folders[key("healthy")].files = {"one\u2028line.png": key("h1")}
    files = {path: content for path, content in IMAGES.items() if "healthy" not in path}
    digest = listing_digest(files | {"cells/healthy/one\u2028line.png": b"three"})
    for _ in range(2):
        assert fetch(tmp_path, digest)["images/healthy/one\u2028line.png"] == b"three"


def test_a_document_of_googles_is_left_out_whatever_its_name(drive: Drive, tmp_path: Path) -> None:
    drive.folders[key("healthy")].documents = {"1.png": key("document")}
    assert len(fetch(tmp_path, listing_digest(IMAGES))) == 3


def test_two_files_of_one_name_are_an_error(drive: Drive, tmp_path: Path) -> None:
    drive.folders[key("healthy")].files["A/1.png"] = key("h1")
    drive.folders[key("healthy")].files["A_1.png"] = key("h2")
    with pytest.raises(InputError, match=r"found two files 'cells/healthy/A_1\.png'"):
        fetch(tmp_path, listing_digest(IMAGES))


def test_a_page_that_fails_once_is_requested_again(drive: Drive, tmp_path: Path) -> None:
    drive.folders[key("cells")].statuses = [503]
    fetch(tmp_path, listing_digest(IMAGES))


def test_a_private_folder_and_an_empty_one_are_errors(drive: Drive, tmp_path: Path) -> None:
    drive.folders[key("top")] = Folder("top", {}, {})
    with pytest.raises(InputError, match="expected a folder with files, found an empty or private folder"):
        fetch(tmp_path, listing_digest(IMAGES))
    del drive.folders[key("top")]
    with pytest.raises(InputError, match="no such file"):
        fetch(tmp_path, listing_digest(IMAGES))


def test_a_folder_inside_itself_is_an_error(drive: Drive, tmp_path: Path) -> None:
    drive.folders[key("top")].folders["again"] = key("top")
    with pytest.raises(InputError, match="found 'again/' inside itself"):
        fetch(tmp_path, listing_digest(IMAGES))


def test_an_archive_on_drive_is_unpacked(drive: Drive, tmp_path: Path) -> None:
    content = write_zip(tmp_path / "cells.zip", TWO_CLASSES).read_bytes()
    drive.files[key("zip")] = Served(content, kind="virus scan")
    wanted = PinnedFile(drive_link(key("zip")), hashlib.sha256(content).hexdigest(), "fetch.sha256")
    fetch_drive(wanted, "", "", tmp_path / "raw", tmp_path / "cache", PATIENT)
    assert sorted(tree(tmp_path / "raw")) == ["images/healthy/1.png", "images/infected/1.png", "images/infected/2.png"]


def test_a_refused_archive_is_named_by_where_it_came_from(drive: Drive, tmp_path: Path) -> None:
    content = write_zip(tmp_path / "bad.zip", [("../x.png", b"x")]).read_bytes()
    drive.files[key("zip")] = Served(content)
    wanted = PinnedFile(drive_link(key("zip")), hashlib.sha256(content).hexdigest(), "fetch.sha256")
    with pytest.raises(
        InputError, match=r"^https://drive\.google\.com/uc\?id=1zip_+: '\.\./x\.png': expected a path inside"
    ):
        fetch_archive(wanted, "", "", tmp_path / "raw", tmp_path / "cache", PATIENT)
    assert not (tmp_path / "raw" / "images").exists()
