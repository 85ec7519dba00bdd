"""Archives as people pack them, with what tools and systems leave in them."""

import bz2
import contextlib
import gzip
import importlib
import io
import itertools
import lzma
import tarfile
import time
import unicodedata
import zipfile
from pathlib import Path

import pytest

from tests.sources.archives import TWO_CLASSES, tree, with_flag, with_header_field, write_tar, write_zip
from wheretolook.base.errors import InputError
from wheretolook.sources.archive import unpack
from wheretolook.sources.archive_names import below_root, without_clashes

CLASSES = {"healthy/1.png": b"three", "infected/1.png": b"one", "infected/2.png": b"two"}


def _compressed(path: Path, open_compressed) -> Path:
    plain = write_tar(path.with_suffix(".plain"), TWO_CLASSES)
    with open_compressed(path, "wb") as file:
        file.write(plain.read_bytes())
    return path


@pytest.mark.parametrize("kind", ["zip", "tar", "gz", "xz", "bz2"])
def test_every_kind_unpacks_to_the_same_files_whatever_it_is_called(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "data.bin"
    if kind in ("zip", "tar"):
        (write_zip if kind == "zip" else write_tar)(path, TWO_CLASSES)
    else:
        _compressed(path, {"gz": gzip.open, "xz": lzma.open, "bz2": bz2.open}[kind])
    unpack(path, tmp_path / "raw", root="")
    assert tree(tmp_path / "raw") == CLASSES


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT, "before ustar"])
def test_a_tar_whose_last_file_is_a_zip_is_a_tar(form: int | str, tmp_path: Path) -> None:
    inner = write_zip(tmp_path / "inner.zip", [("x/other.png", b"other"), ("y/other.png", b"other")]).read_bytes()
    old = form == "before ustar"
    with tarfile.open(tmp_path / "a.tar", "w", format=tarfile.USTAR_FORMAT if old else form) as archive:
        for name, content in [*TWO_CLASSES, ("cells/infected/masks.zip", inner)]:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    if old:
        with_header_field(tmp_path / "a.tar", 257, bytes(8))
    assert zipfile.is_zipfile(tmp_path / "a.tar")
    assert unpack(tmp_path / "a.tar", tmp_path / "raw", root="") == ("infected/masks.zip",)
    assert tree(tmp_path / "raw") == CLASSES


def test_a_compressed_tar_whose_last_bytes_are_a_zip_is_a_tar(tmp_path: Path) -> None:
    plain = write_tar(tmp_path / "a.tar", TWO_CLASSES).read_bytes()
    inner = write_zip(tmp_path / "inner.zip", [("x/other.png", b"other")]).read_bytes()
    (tmp_path / "a.tar.gz").write_bytes(gzip.compress(plain) + gzip.compress(inner, compresslevel=0))
    assert zipfile.is_zipfile(tmp_path / "a.tar.gz")
    unpack(tmp_path / "a.tar.gz", tmp_path / "raw", root="")
    assert tree(tmp_path / "raw") == CLASSES


def test_a_self_extracting_zip_is_a_zip(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", TWO_CLASSES)
    path.write_bytes(b"MZ" + bytes(range(256)) * 9 + path.read_bytes())
    unpack(path, tmp_path / "raw", root="")
    assert tree(tmp_path / "raw") == CLASSES


def _zstandard():
    for name in ("compression.zstd", "backports.zstd"):
        with contextlib.suppress(ModuleNotFoundError):
            return importlib.import_module(name)
    return None


@pytest.mark.skipif(_zstandard() is None, reason="in the standard library from Python 3.14 on, else backports.zstd")
def test_zstandard_unpacks_where_python_reads_it(tmp_path: Path) -> None:
    path = _compressed(tmp_path / "data.tar.zst", _zstandard().open)
    unpack(path, tmp_path / "raw", root="")
    assert tree(tmp_path / "raw") == CLASSES
    path.write_bytes(path.read_bytes()[:40] + bytes(40))
    with pytest.raises(InputError, match="damaged"):
        unpack(path, tmp_path / "raw", root="")


@pytest.mark.skipif(_zstandard() is not None, reason="read here")
def test_zstandard_says_what_to_do_where_python_does_not_read_it(tmp_path: Path) -> None:
    path = tmp_path / "data.tar.zst"
    path.write_bytes(b"\x28\xb5\x2f\xfd" + bytes(600))
    with pytest.raises(InputError, match=r"found Zstandard.* backports\.zstd"):
        unpack(path, tmp_path / "raw", root="")


def test_a_folder_inside_is_taken_as_root(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", [*TWO_CLASSES, ("other/readme.txt", b"")])
    unpack(path, tmp_path / "raw", root="cells/infected")
    assert tree(tmp_path / "raw") == {"1.png": b"one", "2.png": b"two"}


def test_a_root_that_is_not_there_names_those_that_are(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", TWO_CLASSES)
    with pytest.raises(InputError) as error:
        unpack(path, tmp_path / "raw", root="cell_images")
    assert "'cell_images'" in error.value.found and "cells, cells/healthy, cells/infected" in error.value.found
    assert "`fetch.root`" in error.value.hint


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["a/b/c/1.png", "a/b/d/1.png"], ["c/1.png", "d/1.png"]),
        (["a/c/1.png", "a/c/2.png"], ["c/1.png", "c/2.png"]),
        (["c/1.png", "d/1.png"], ["c/1.png", "d/1.png"]),
        (["a/readme.txt", "a/c/1.png", "a/d/1.png"], ["readme.txt", "c/1.png", "d/1.png"]),
        (["c/1.png", "c/more/2.png"], ["c/1.png", "c/more/2.png"]),
        (["w/images/c/1.png", "w/masks/c/1.png"], ["images/c/1.png", "masks/c/1.png"]),
    ],
)
def test_folders_that_merely_wrap_the_rest_fall_away(names: list[str], expected: list[str]) -> None:
    files = [tuple(name.split("/")) for name in names]
    assert ["/".join(parts) for parts in below_root(files, "").values()] == expected


def test_a_folder_can_be_left_out(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", [("w/images/c/1.png", b"i"), ("w/masks/c/1.png", b"m")])
    unpack(path, tmp_path / "images", root="", without="w/masks")
    unpack(path, tmp_path / "masks", root="w/masks")
    assert tree(tmp_path / "images") == {"c/1.png": b"i"}
    assert tree(tmp_path / "masks") == {"c/1.png": b"m"}


def test_what_systems_leave_behind_is_left_out(tmp_path: Path) -> None:
    junk = ["__MACOSX/cells/._1.png", "cells/infected/.DS_Store", "cells/infected/Thumbs.db", "cells/desktop.ini",
            "cells/healthy/._1.png", "@eaDir/x", "cells/.ipynb_checkpoints/1.png",
            "cells/infected/@eaDir/1.png/SYNOFILE_THUMB_M.jpg", ".thumbnails/cells/1.png"]  # fmt: skip
    path = write_zip(tmp_path / "a.zip", [*((name, b"junk") for name in junk), *TWO_CLASSES])
    unpack(path, tmp_path / "raw", root="")
    assert tree(tmp_path / "raw") == CLASSES


@pytest.mark.parametrize(("root", "beside"), [("", []), (".cache/cells", [("notes/readme.txt", b"")])])
def test_a_hidden_folder_around_the_data_does_not_hide_them(root: str, beside: list, tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", [*((f".cache/{name}", content) for name, content in TWO_CLASSES), *beside])
    unpack(path, tmp_path / "raw", root=root)
    assert tree(tmp_path / "raw") == CLASSES


def test_names_that_differ_by_case_alone_both_survive_everywhere(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", [("c/a.PNG", b"lower"), ("c/A.png", b"upper"), ("C/x.png", b"folder")])
    unpack(path, tmp_path / "raw", root="")
    assert tree(tmp_path / "raw") == {"C/x.png": b"folder", "c~2/A.png": b"upper", "c~2/a~2.PNG": b"lower"}


def test_a_clash_never_takes_a_name_that_is_there(tmp_path: Path) -> None:
    paths = without_clashes([("c", "a.png"), ("c", "A.png"), ("c", "a~2.png")])
    assert len({str(path).casefold() for path in paths.values()}) == 3


def test_many_names_that_differ_by_case_alone_are_not_tried_one_by_one() -> None:
    """Each after all before it, 4,096 were eight million tries: a small archive could hold a run for hours."""
    letters = ("".join(letters) for letters in itertools.product(*zip("abcdefghijkl", "ABCDEFGHIJKL", strict=True)))
    began = time.process_time()
    paths = without_clashes(("c", f"{name}.png") for name in letters)
    assert time.process_time() - began < 20
    assert sorted(path.name.lower() for path in paths.values()) == sorted(
        f"abcdefghijkl{f'~{n}' if n > 1 else ''}.png" for n in range(1, 4097)
    )


def test_the_order_inside_the_archive_has_no_say_in_the_names() -> None:
    files = [("c", "a.png"), ("c", "A.png"), ("C", "b.png"), ("C", "B.png")]
    assert without_clashes(files) == without_clashes(files[::-1])


def test_names_are_composed_so_that_they_are_the_same_on_every_system(tmp_path: Path) -> None:
    decomposed = unicodedata.normalize("NFD", "zelle_größe.png")
    path = write_tar(tmp_path / "a.tar", [(f"c/{decomposed}", b"x"), ("d/細胞.png", b"y")])
    unpack(path, tmp_path / "raw", root="")
    assert tree(tmp_path / "raw") == {"c/zelle_größe.png": b"x", "d/細胞.png": b"y"}


def test_utf8_names_without_the_flag_are_read_as_utf8(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    write_zip(path, [("c/größe.png", b"x"), ("d/1.png", b"y")])
    data = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 7), (b"PK\x01\x02", 9)):
        data[data.find(signature) + offset] &= ~0x08
    path.write_bytes(data)
    with zipfile.ZipFile(path) as opened:
        assert opened.namelist()[0] != "c/größe.png"
    unpack(path, tmp_path / "raw", root="")
    assert tree(tmp_path / "raw") == {"c/größe.png": b"x", "d/1.png": b"y"}


def test_names_in_another_encoding_become_text_all_the_same(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "a.tar", [("c/gr\udcf6\udcdfe.png", b"x"), ("d/1.png", b"y")])
    unpack(path, tmp_path / "raw", root="")
    assert tree(tmp_path / "raw") == {"c/größe.png": b"x", "d/1.png": b"y"}


def test_backslashes_are_separators(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", [("cells\\c\\1.png", b"x"), ("cells\\d\\1.png", b"y")])
    unpack(path, tmp_path / "raw", root="")
    assert tree(tmp_path / "raw") == {"c/1.png": b"x", "d/1.png": b"y"}


def test_a_folder_that_ends_in_a_backslash_is_no_file(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", [("cells\\c\\", b""), ("cells\\c\\1.png", b"x"), ("cells\\d\\1.png", b"y")])
    unpack(path, tmp_path / "raw", root="")
    assert tree(tmp_path / "raw") == {"c/1.png": b"x", "d/1.png": b"y"}


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("kind", ["zip", "tar", "gz"])
def test_a_cut_archive_is_refused_and_leaves_nothing(kind: str, share: float, tmp_path: Path) -> None:
    entries = [(f"c/{n}.png", bytes(range(256)) * 40) for n in range(20)]
    path = tmp_path / "cut"
    if kind == "gz":
        path.write_bytes(gzip.compress(write_tar(tmp_path / "plain", entries).read_bytes()))
    else:
        (write_zip if kind == "zip" else write_tar)(path, entries)
    whole = path.read_bytes()
    path.write_bytes(whole.rstrip(b"\0")[: int(len(whole.rstrip(b"\0")) * share)])
    with pytest.raises(InputError, match=r"damaged|a header"):
        unpack(path, tmp_path / "raw", root="")
    assert not list(tmp_path.glob("raw*"))


@pytest.mark.parametrize("content", [b"", b"PK", b"<!DOCTYPE html><html></html>", bytes(2000), b"\x1f\x8b" + bytes(50)])
def test_what_is_no_archive_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"expected (a complete zip or tar|files)"):
        unpack(path, tmp_path / "raw", root="")


def test_an_archive_of_junk_alone_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected files, found none"):
        unpack(write_zip(tmp_path / "a.zip", [("c/Thumbs.db", b"x")]), tmp_path / "raw", root="")


def test_an_unknown_compression_is_refused(tmp_path: Path) -> None:
    path = with_flag(write_zip(tmp_path / "a.zip", TWO_CLASSES), 0)
    data = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        data[data.find(signature) + offset] = 97
    path.write_bytes(data)
    with pytest.raises(InputError, match="compression"):
        unpack(path, tmp_path / "raw", root="")
