"""What no archive may do: each is refused before a byte is written."""

import bz2
import gzip
import lzma
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.sources.archives import (
    TWO_CLASSES,
    with_flag,
    with_header_field,
    with_size_claim,
    write_tar,
    write_tar_member,
    write_zip,
    zip_link,
)
from wheretolook.base.errors import InputError
from wheretolook.sources.archive import Limits, unpack

Maker = Callable[[Path], Path]


def _zip_named(name: str) -> Maker:
    return lambda path: write_zip(path, [*TWO_CLASSES, (name, b"escaped")])


def _tar_named(name: str) -> Maker:
    return lambda path: write_tar(path, [*TWO_CLASSES, (name, b"escaped")])


def _tar_kind(kind: bytes, target: str = "") -> Maker:
    return lambda path: write_tar_member(path, "cells/infected/odd", kind, target)


def _bomb(open_compressed: Callable) -> Maker:
    def make(path: Path) -> Path:
        plain = write_tar(path.with_suffix(".plain"), [("cells/infected/zeros.png", bytes(3_000_000))])
        with open_compressed(path, "wb") as file:
            file.write(plain.read_bytes())
        plain.unlink()
        return path

    return make


def _sparse(path: Path) -> Path:
    return with_header_field(write_tar(path, TWO_CLASSES), 156, b"S")


def _negative(path: Path) -> Path:
    return with_header_field(write_tar(path, TWO_CLASSES), 124, b"\xff" * 12)


def _pax_bomb(path: Path) -> Path:
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as archive:
        member = tarfile.TarInfo("cells/infected/1.png")
        member.pax_headers = {"comment": "x" * 200_000}
        archive.addfile(member)
    return path


HOSTILE = {
    "zip: parent": (_zip_named("../outside.png"), "'..'"),
    "zip: parent inside": (_zip_named("cells/../../outside.png"), "'..'"),
    "zip: absolute": (_zip_named("/tmp/outside.png"), "absolute path"),
    "zip: drive letter": (_zip_named("C:\\outside.png"), "absolute path"),
    "zip: backslashes": (_zip_named("cells\\..\\..\\outside.png"), "'..'"),
    "zip: network share": (_zip_named("\\\\host\\share\\outside.png"), "absolute path"),
    "zip: control character": (_zip_named("cells/infected/\x1b[31m.png"), "control character"),
    "zip: long name": (_zip_named("cells/infected/" + "n" * 300), "240 bytes a name"),
    "zip: deep": (_zip_named("a/" * 40 + "x.png"), "at most 32 folders"),
    "zip: symbolic link": (lambda path: zip_link(path, "cells/infected/odd", "/etc/passwd"), "symbolic link"),
    "zip: device": (lambda path: zip_link(path, "cells/infected/odd", "", 0o020666), "device"),
    "zip: encrypted": (lambda path: with_flag(write_zip(path, TWO_CLASSES), 1), "encrypted file"),
    "zip: bomb": (lambda path: write_zip(path, [("a/zeros.png", bytes(3_000_000))]), "decompression bomb"),
    "zip: twice": (lambda path: write_zip(path, [*TWO_CLASSES, ("cells/./infected/1.png", b"x")]), "one file of each"),
    "zip: file and folder": (
        lambda path: write_zip(path, [("a/b.png", b"x"), ("a/b.png/c.png", b"y"), ("d/e.png", b"")]),
        "under one name",
    ),
    "zip: size claim": (lambda path: with_size_claim(write_zip(path, TWO_CLASSES), 0xFFFFFFFE), "decompression bomb"),
    "tar: parent": (_tar_named("../outside.png"), "'..'"),
    "tar: absolute": (_tar_named("/tmp/outside.png"), "absolute path"),
    "tar: symbolic link": (_tar_kind(tarfile.SYMTYPE, "/etc/passwd"), "symbolic link"),
    "tar: link to the folder above": (_tar_kind(tarfile.SYMTYPE, "../.."), "symbolic link"),
    "tar: hard link": (_tar_kind(tarfile.LNKTYPE, "/etc/passwd"), "hard link"),
    "tar: character device": (_tar_kind(tarfile.CHRTYPE), "device"),
    "tar: block device": (_tar_kind(tarfile.BLKTYPE), "device"),
    "tar: named pipe": (_tar_kind(tarfile.FIFOTYPE), "device"),
    "tar: sparse": (_sparse, "sparse"),
    "tar: negative size": (_negative, "at least 0"),
    "tar: header without end": (_pax_bomb, "a header"),
    "tar.gz: bomb": (_bomb(gzip.open), "decompression bomb"),
    "tar.xz: bomb": (_bomb(lzma.open), "decompression bomb"),
    "tar.bz2: bomb": (_bomb(bz2.open), "decompression bomb"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_archives_are_refused_before_a_byte_is_written(case: str, tmp_path: Path) -> None:
    make, says = HOSTILE[case]
    (tmp_path / "source").mkdir()
    (tmp_path / "room").mkdir()
    archive = make(tmp_path / "source" / "archive")
    limits = Limits(ratio=200, free_bytes=1_000_000)
    with pytest.raises(InputError, match=says) as refused:
        unpack(archive, tmp_path / "room" / "raw", root="", limits=limits)
    assert refused.value.subject.startswith(str(archive))
    assert refused.value.expected and refused.value.found and refused.value.hint
    assert list((tmp_path / "room").iterdir()) == []
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["archive"]


def test_more_entries_than_any_data_set_has_are_refused(tmp_path: Path) -> None:
    archive = write_zip(tmp_path / "many.zip", [(f"c/{n}.png", b"") for n in range(11)])
    with pytest.raises(InputError, match="at most 10 entries, found 11"):
        unpack(archive, tmp_path / "raw", root="", limits=Limits(files=10))


def test_what_does_not_fit_on_the_disk_is_refused_before_a_byte_is_written(tmp_path: Path) -> None:
    many = write_zip(tmp_path / "large.zip", [(f"c/{n}.png", b"") for n in range(5_000)])
    with pytest.raises(InputError, match=r"expected 21,474,836,470,000 free bytes on the disk"):
        unpack(
            with_size_claim(many, 0xFFFFFFFE),
            tmp_path / "raw",
            root="",
            limits=Limits(free_bytes=1 << 50, bytes=1 << 50),
        )
    assert not (tmp_path / "raw").exists()


def test_a_refusal_leaves_the_old_folder_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "kept.png").write_bytes(b"kept")
    broken = write_zip(tmp_path / "broken.zip", TWO_CLASSES)
    data = bytearray(broken.read_bytes())
    data[data.find(b"PK\x01\x02", 200) + 16] ^= 0xFF  # the checksum of an entry
    broken.write_bytes(data)
    with pytest.raises(InputError, match="damaged"):
        unpack(broken, tmp_path / "raw", root="")
    assert (tmp_path / "raw" / "kept.png").read_bytes() == b"kept"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["broken.zip", "raw"]


def test_zipfile_itself_would_have_taken_the_claimed_size(tmp_path: Path) -> None:
    archive = with_size_claim(write_zip(tmp_path / "claim.zip", TWO_CLASSES), 0xFFFFFFFE)
    with zipfile.ZipFile(archive) as opened:
        assert opened.infolist()[0].file_size == 0xFFFFFFFE
