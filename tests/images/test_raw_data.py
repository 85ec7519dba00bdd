import shutil
import zipfile
from pathlib import Path

import pytest

from tests.images.made_classes import MASK_VALUES, write_classes, write_mask
from wheretolook.base.errors import InputError
from wheretolook.images import raw_data
from wheretolook.images.raw_data import pack_raw, packed_files
from wheretolook.images.scan import find_raw_masks, scan_raw
from wheretolook.params.prepare_options import PrepareOptions
from wheretolook.prepare.prepare_images import prepare
from wheretolook.sources.folder import copy_class_folders

OPTIONS = PrepareOptions(16, "stretch", "", MASK_VALUES, 0.2, 0.2, 0, "refuse", "error")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    source = write_classes(tmp_path / "source", {"é": 8, "b": 12})
    write_mask(source / "masks/b/p0_000.png")
    return source


@pytest.fixture
def packed(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(raw_data, "PACK_FROM", 1)
    monkeypatch.setattr(raw_data, "MOST_FILES", 9)
    copy_class_folders(source / "images", source / "masks", tmp_path / "packed")
    return tmp_path / "packed"


def test_many_images_are_packed_into_a_few_zip_files_that_any_program_can_read(packed: Path, source: Path):
    names = ["images.000.zip", "images.001.zip", "images.002.zip", "masks.000.zip"]
    assert sorted(path.name for path in packed.iterdir()) == names
    found = {}
    for name in names[:3]:
        with zipfile.ZipFile(packed / name) as archive:
            assert archive.testzip() is None
            found |= {info.filename: archive.read(info) for info in archive.infolist()}
    originals = source / "images"
    assert found == {
        path.relative_to(originals).as_posix(): path.read_bytes() for path in originals.rglob("*") if path.is_file()
    }
    assert {name: file.read_bytes() for name, file in packed_files(packed, "images").items()} == found


def test_packed_images_give_the_same_scan_and_the_same_prepared_bytes(packed: Path, source: Path, tmp_path: Path):
    loose = source
    assert [file.image_id for file in scan_raw(packed).files] == [file.image_id for file in scan_raw(loose).files]
    assert list(find_raw_masks(packed, scan_raw(packed)).paths) == ["b/p0_000.png"]
    prepare(loose, tmp_path / "from_loose", OPTIONS)
    prepare(packed, tmp_path / "from_packed", OPTIONS)
    for name in ("images.npy", "masks.npy", "index.csv", "audit.json"):
        assert (tmp_path / "from_loose" / name).read_bytes() == (tmp_path / "from_packed" / name).read_bytes()


def test_equal_files_give_equal_zip_files(packed: Path, source: Path, tmp_path: Path):
    shutil.copytree(source, tmp_path / "other")
    copy_class_folders(tmp_path / "other/images", None, tmp_path / "again")
    assert (tmp_path / "again/images.001.zip").read_bytes() == (packed / "images.001.zip").read_bytes()


def test_folders_that_a_source_wrote_are_packed_afterwards(source: Path, monkeypatch: pytest.MonkeyPatch):
    expected = [file.image_id for file in scan_raw(source).files]
    pack_raw(source)
    assert (source / "images").is_dir()  # too few
    monkeypatch.setattr(raw_data, "PACK_FROM", 20)
    pack_raw(source)
    assert sorted(path.name for path in source.iterdir()) == ["images.000.zip", "masks"]
    assert [file.image_id for file in scan_raw(source).files] == expected


def test_large_files_are_not_packed(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(raw_data, "PACK_FROM", 1)
    monkeypatch.setattr(raw_data, "LARGEST_PACKED", 10)
    copy_class_folders(source / "images", None, tmp_path / "raw")
    assert (tmp_path / "raw/images/b/p0_000.png").is_file()


def test_a_damaged_zip_file_is_refused(packed: Path):
    first = packed / "images.000.zip"
    first.write_bytes(first.read_bytes()[:-8])
    with pytest.raises(InputError) as error:
        scan_raw(packed)
    assert error.value.subject == str(first) and "dvc repro -sf fetch" in error.value.hint
