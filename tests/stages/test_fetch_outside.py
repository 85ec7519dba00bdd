"""Stage `fetch`, from an archive and from Google Drive."""

import hashlib
import random
import sys
from io import BytesIO
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from PIL import Image

from tests.drive_server.drive import Drive
from tests.drive_server.loopback import Web
from tests.drive_server.served import Served
from tests.sources.archives import tree, write_tar, write_zip

sys.path.insert(0, str(Path(__file__).parents[2] / "stages"))
from fetch import fetch


def picture(seed: int) -> bytes:
    file = BytesIO()
    Image.frombytes("RGB", (4, 4), random.Random(seed).randbytes(48)).save(file, "PNG")
    return file.getvalue()


CELLS = [(f"cells/{name}/{n}.png", picture(n)) for n, name in enumerate(["infected"] * 3 + ["healthy"] * 3)]
MASKS = [("masks/infected/0.png", picture(9))]


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return write_zip(tmp_path / "cells.zip", [*CELLS, *MASKS, ("__MACOSX/cells/._x", b"junk")])


def run(source: str, *options: str, root: str = "cells", masks: str = "masks") -> Result:
    words = ["--source", source, "--root", root, "--masks", masks, "--retries", "0", *options]
    return CliRunner().invoke(fetch, words, catch_exceptions=False)


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def expected() -> dict[str, bytes]:
    images = {name.replace("cells/", "images/"): content for name, content in CELLS}
    return images | dict(MASKS)


@pytest.mark.parametrize("root", ["cells", ""])
def test_an_archive_becomes_class_folders_and_masks(root: str, archive: Path) -> None:
    done = run("archive", "--path", str(archive), "--sha256", digest(archive), root=root)
    assert done.exit_code == 0, done.output
    assert tree(Path("data/raw")) == expected()


def test_the_same_files_give_the_same_folder_whatever_packed_them(archive: Path) -> None:
    packed = write_tar(archive.with_name("cells.tar.xz"), [*MASKS, *CELLS[::-1]], "w:xz")
    assert run("archive", "--path", str(packed), "--sha256", digest(packed)).exit_code == 0
    assert tree(Path("data/raw")) == expected()


def test_masks_of_an_archive_that_belong_to_no_image_are_reported_or_refused(archive: Path) -> None:
    odd = [("masks/infected/0_mask.png", picture(9)), ("masks/infected/1_mask.png", picture(9))]
    for count, says in (
        (1, "; 1 mask without an image, such as infected/0_mask.png"),
        (2, "found 2 of 3 masks that belong"),
    ):
        packed = write_zip(archive.with_name("odd.zip"), [*CELLS, *MASKS, *odd[:count]])
        done = run("archive", "--path", str(packed), "--sha256", digest(packed))
        assert says in done.output and done.exit_code == count - 1


def test_a_folder_of_masks_without_a_picture_is_refused(archive: Path) -> None:
    packed = write_zip(archive.with_name("arrays.zip"), [*CELLS, ("masks/infected/0.npy", b"array")])
    done = run("archive", "--path", str(packed), "--sha256", digest(packed))
    assert done.exit_code == 1 and "masks: expected masks (.avif, .bmp, " in done.output


def test_a_wrong_root_or_masks_is_an_error_that_says_what_to_write(archive: Path) -> None:
    inside = [(f"white/{name.replace('cells/', 'images/')}", content) for name, content in CELLS]
    packed = write_zip(archive.with_name("white.zip"), [*inside, *((f"white/{name}", mask) for name, mask in MASKS)])
    given = "archive", "--path", str(packed), "--sha256", digest(packed)
    done = run(*given, root="white", masks="masks")
    assert "found 'masks'; the archive has white, white/images, white/masks. Set `fetch.masks`" in done.stderr
    done = run(*given, root="white", masks="white/masks")
    told = "expected at least two class folders, found one, images. Set `fetch.root: white/images`"
    assert done.stderr == f"Error: {packed}: white: {told}\n"
    assert run(*given, root="white/images", masks="white/masks").exit_code == 0
    assert tree(Path("data/raw")) == expected()


def test_an_archive_comes_by_its_address(archive: Path) -> None:
    with Web({"cells.zip": Served(archive.read_bytes())}) as web:
        done = run("archive", "--url", web.url("cells.zip"), "--sha256", digest(archive))
        assert done.exit_code == 0, done.output
    assert tree(Path("data/raw")) == expected()
    done = run("archive", "--url", web.url("cells.zip"), "--sha256", digest(archive))
    assert done.exit_code == 0, "it is in the cache, the server is gone"


def test_an_archive_comes_from_drive(archive: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with Drive(tmp_path) as drive:
        for name, value in drive.environment.items():
            monkeypatch.setenv(name, value)
        drive.files["1cells"] = Served(archive.read_bytes())
        done = run("drive", "--id", "1cells", "--sha256", digest(archive))
    assert done.exit_code == 0, done.output
    assert tree(Path("data/raw")) == expected()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda path: path.unlink(), "expected a file, found no such file"),
        (lambda path: path.write_bytes(path.read_bytes()[:-20]), "expected SHA-256"),
        (lambda path: path.write_bytes(b"<html>"), "expected SHA-256"),
    ],
)
def test_an_archive_that_is_not_the_pinned_one_leaves_what_was_there(change, says: str, archive: Path) -> None:
    assert run("archive", "--path", str(archive), "--sha256", digest(archive)).exit_code == 0
    pinned = digest(archive)
    change(archive)
    done = run("archive", "--path", str(archive), "--sha256", pinned)
    assert done.exit_code == 1
    assert says in done.stderr
    assert tree(Path("data/raw")) == expected()


def test_a_cut_archive_says_so_even_where_its_checksum_was_pinned(archive: Path) -> None:
    archive.write_bytes(archive.read_bytes()[:-20])
    done = run("archive", "--path", str(archive), "--sha256", digest(archive))
    assert done.exit_code == 1
    assert "cells.zip: expected a complete zip or tar, found damaged or truncated data" in done.stderr
    assert not Path("data/raw").exists()


def test_a_missing_checksum_is_printed(archive: Path) -> None:
    done = run("archive", "--path", str(archive), "--sha256", "")
    assert done.exit_code == 1
    assert f"write `sha256: {digest(archive)}` in params.yaml" in done.stderr


def test_a_root_that_is_not_there_names_those_that_are(archive: Path) -> None:
    done = run("archive", "--path", str(archive), "--sha256", digest(archive), root="cell_images")
    assert done.exit_code == 1
    assert "the archive has cells, cells/healthy, cells/infected. Set `fetch.root`" in done.stderr
