import json
from pathlib import Path

import numpy as np
import pytest

from tests.images.made_classes import MASK_VALUES, write_classes, write_mask
from wheretolook.base.errors import InputError
from wheretolook.base.prepared import load_prepared
from wheretolook.params.prepare_options import PrepareOptions
from wheretolook.prepare.prepare_images import prepare

REPRO = 'run "dvc repro -sf prepare"'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    # Names that a table reader likes to take for numbers or gaps.
    raw = write_classes(tmp_path / "raw", {"NA": 10, "007": 10})
    write_mask(raw / "masks/NA/p0_000.png")
    options = PrepareOptions(16, "stretch", r"^p(\d)", MASK_VALUES, 0.2, 0.2, 0, "refuse", "error")
    prepare(raw, tmp_path / "prepared", options)
    return tmp_path / "prepared"


def test_arrays_are_memory_mapped_and_cannot_be_written(folder: Path):
    prepared = load_prepared(folder)
    for array in (prepared.images, prepared.masks):
        assert isinstance(array, np.memmap) and not array.flags.writeable


def test_text_stays_text(folder: Path):
    prepared = load_prepared(folder)
    assert prepared.class_names == ("007", "NA")
    assert set(prepared.index["class_name"]) == {"007", "NA"}
    assert set(prepared.index["group"]) == {str(number) for number in range(10)}


def test_the_fit_is_that_of_the_audit_or_none(folder: Path):
    assert load_prepared(folder).fit == "stretch"
    audit = json.loads((folder / "audit.json").read_text(encoding="utf-8"))
    for prepared, expected in ((audit.pop("prepared") | {"fit": "pad"}, "pad"), ({}, None)):
        (folder / "audit.json").write_text(json.dumps(audit | {"prepared": prepared}), encoding="utf-8")
        assert load_prepared(folder).fit == expected
    (folder / "audit.json").write_text(json.dumps(audit | {"prepared": {"fit": "squeeze"}}), encoding="utf-8")
    with pytest.raises(InputError, match="audit of prepared data"):
        load_prepared(folder)


def test_rows_of_the_splits_are_all_rows_once(folder: Path):
    prepared = load_prepared(folder)
    rows = [prepared.rows(split) for split in ("train", "val", "test")]
    assert sorted(np.concatenate(rows)) == list(range(20)) and all(part.dtype == np.int64 for part in rows)
    assert (prepared.index["split"][prepared.rows("val")] == "val").all()
    assert len(prepared.rows("nonsense")) == 0


def test_the_sha256_covers_images_and_index_and_not_the_masks(folder: Path):
    before, of_masks = load_prepared(folder).sha256, load_prepared(folder).masks_sha256
    audit = folder / "audit.json"
    text = audit.read_text()
    audit.write_text(text.replace('"masks.npy": "', '"masks.npy": "0'))
    assert load_prepared(folder).sha256 == before
    assert load_prepared(folder).masks_sha256 == f"0{of_masks}"
    audit.write_text(text.replace('"images.npy": "', '"images.npy": "0'))
    assert load_prepared(folder).sha256 != before


def refusal(folder: Path) -> InputError:
    with pytest.raises(InputError) as error:
        load_prepared(folder)
    assert error.value.hint == REPRO
    return error.value


@pytest.mark.parametrize("name", ["images.npy", "masks.npy", "index.csv", "audit.json"])
def test_a_missing_file_is_refused_with_the_command_to_run(name: str, folder: Path):
    (folder / name).unlink()
    error = refusal(folder)
    assert (error.subject, error.found) == (str(folder / name), "no such file")


@pytest.mark.parametrize("name", ["images.npy", "masks.npy"])
def test_another_number_of_images_is_refused(name: str, folder: Path):
    np.save(folder / name, np.load(folder / name)[:-1])
    error = refusal(folder)
    assert error.subject == str(folder / name)
    assert error.expected.startswith("shape (20, 16, 16") and error.found.startswith("(19, 16, 16")


@pytest.mark.parametrize("array", [np.zeros((20, 8, 8, 3), np.float32), np.zeros((20, 8, 8), np.uint8)])
def test_images_of_another_type_or_dimension_are_refused(array: np.ndarray, folder: Path):
    np.save(folder / "images.npy", array)
    error = refusal(folder)
    assert error.subject == str(folder / "images.npy")
    assert error.found == f"{array.dtype} of shape {array.shape}"


@pytest.mark.parametrize("keep", [0, 20, 500])
def test_a_truncated_array_is_refused(keep: int, folder: Path):
    (folder / "images.npy").write_bytes((folder / "images.npy").read_bytes()[:keep])
    error = refusal(folder)
    assert (error.subject, error.expected) == (str(folder / "images.npy"), "a complete .npy array")


def test_an_array_of_objects_is_not_unpickled(folder: Path):
    np.save(folder / "images.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    assert refusal(folder).expected == "a complete .npy array"


def test_an_index_that_was_edited_is_refused(folder: Path):
    index = folder / "index.csv"
    index.write_text(index.read_text().replace(",train,", ",test,", 1))
    error = refusal(folder)
    assert error.subject == str(index) and "SHA-256" in error.expected


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"sha256": {}, "class_names": ["a"]}', '{"sha256": []}'])
def test_another_audit_is_refused(text: str, folder: Path):
    (folder / "audit.json").write_text(text)
    assert refusal(folder).subject == str(folder / "audit.json")
