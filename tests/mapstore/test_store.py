"""Stored maps: opened by name, checked against their manifest, fetched by DVC where they are missing."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest

from wheretolook.base.errors import InputError
from wheretolook.base.files import sha256_of, write_json
from wheretolook.mapstore.store import _first_error, load_maps, map_classes_of

SHAPES = {"cam.block2.npy": (4, 2, 2, 2), "gradcam.block1.npy": (4, 2, 4, 4), "activation.block1.npy": (4, 1, 4, 4)}


def write_maps(folder, map_classes=("cat", "dog")):
    folder.mkdir(parents=True)
    arrays = {}
    for name, shape in (SHAPES | {"logits.npy": (4, 1, 2)}).items():
        np.save(folder / name, np.arange(np.prod(shape), dtype=np.float32).reshape(shape))
        arrays[name] = {"shape": list(shape), "dtype": "float32", "sha256": sha256_of(folder / name), "units": "logits"}
    for name in SHAPES:
        method, layer, _ = name.split(".")
        arrays[name] |= {"method": method, "layer": layer, "knows_class": method != "activation"}
    manifest = {
        "format": 1,
        "model": {"name": folder.name, "sha256": "1" * 64},
        "data": {"sha256": "0", "images": 4},
        "class_names": ["cat", "dog"],
        "map_classes": list(map_classes),
        "layers": ["block1", "block2"],
        "heads": ["block2"],
        "precision": "float32",
        "arrays": arrays,
    }
    write_json(folder / "manifest.json", manifest)
    return folder


@pytest.fixture
def folder(tmp_path):
    return write_maps(tmp_path / "last-0")


def test_names_are_by_method_and_layers_from_first_to_last(folder):
    assert load_maps(folder).names == [("activation", "block1"), ("cam", "block2"), ("gradcam", "block1")]


def test_maps_are_mapped_read_only(folder):
    maps = load_maps(folder).open("cam", "block2")
    assert isinstance(maps, np.memmap) and maps.shape == (4, 2, 2, 2)
    with pytest.raises(ValueError, match="read-only"):
        maps[0] = 0


def test_logits_are_those_of_the_last_head(folder):
    maps = load_maps(folder)
    np.testing.assert_array_equal(maps.logits(), maps.head_logits()[:, 0])


def test_every_class_is_stored_up_to_ten():
    ten = tuple("abcdefghij")
    assert map_classes_of(ten) == ten
    assert map_classes_of((*ten, "k")) == ("true", "predicted", "mean")


def test_opening_maps_that_are_not_stored_lists_those_that_are(folder):
    with pytest.raises(InputError) as error:
        load_maps(folder).open("cam", "block1")
    assert error.value.expected == "maps cam.block1"
    assert error.value.found == "activation.block1, cam.block2, gradcam.block1"


def test_the_folder_may_be_given_as_text(folder):
    assert load_maps(str(folder)).folder == folder
    assert load_maps(str(folder), str(folder / "manifest.json")).names == load_maps(folder).names


def test_edited_maps_are_refused_with_the_repro_command(folder):
    stored = sha256_of(folder / "cam.block2.npy")
    np.save(folder / "cam.block2.npy", np.zeros((4, 2, 2, 2), dtype=np.float32))
    with pytest.raises(InputError) as error:
        load_maps(folder)
    assert error.value.subject == str(folder / "cam.block2.npy")
    assert error.value.expected == f"sha256 {stored[:12]}"
    assert error.value.found.startswith(sha256_of(folder / "cam.block2.npy")[:12])
    assert "dvc repro -sf export@last-0" in error.value.hint


def test_maps_are_checked_against_the_manifest_that_git_tracks(folder, tmp_path):
    tracked = tmp_path / "exports/last-0.json"
    tracked.parent.mkdir()
    shutil.copy(folder / "manifest.json", tracked)
    np.save(folder / "cam.block2.npy", np.zeros((4, 2, 2, 2), dtype=np.float32))
    with pytest.raises(InputError) as error:
        load_maps(folder, tracked)
    assert error.value.expected.startswith("sha256 ")


def test_a_missing_array_is_refused_with_the_repro_command(folder):
    (folder / "cam.block2.npy").unlink()
    with pytest.raises(InputError) as error:
        load_maps(folder)
    assert error.value.subject == str(folder / "cam.block2.npy")
    assert error.value.found.startswith("no file")
    assert "dvc repro -sf export@last-0" in error.value.hint


def test_a_folder_without_a_manifest_is_refused(tmp_path):
    with pytest.raises(InputError) as error:
        load_maps(tmp_path / "none")
    assert error.value.found == "no manifest.json"
    assert "dvc repro -sf export@none" in error.value.hint


@pytest.mark.parametrize(
    ("change", "expected", "found"),
    [
        (lambda m: m | {"format": 2}, "format 1", "2"),
        (lambda m: {k: v for k, v in m.items() if k != "layers"}, "layers", "arrays, class_names, data"),
        (lambda m: [m], "the keys", "list"),
        (lambda m: m | {"arrays": []}, "logits.npy", "[]"),
        (lambda m: m | {"arrays": {"logits.npy": {"sha256": None}}}, "a sha256 for logits.npy", '{"sha256": null}'),
        (lambda m: m | {"layers": []}, "under layers", "[]"),
        (lambda m: m | {"data": 1}, "under data", "1"),
    ],
)
def test_a_wrong_manifest_is_refused(folder, change, expected, found):
    path = folder / "manifest.json"
    write_json(path, change(json.loads(path.read_text())))
    with pytest.raises(InputError) as error:
        load_maps(folder)
    assert error.value.subject == str(path)
    assert expected in error.value.expected and error.value.found.startswith(found)


def test_a_manifest_that_is_not_json_is_refused(folder):
    (folder / "manifest.json").write_text("{")
    with pytest.raises(InputError) as error:
        load_maps(folder)
    assert error.value.found.startswith("invalid JSON")
    assert "dvc repro -sf export@last-0" in error.value.hint


def dvc(root, *words):
    subprocess.run([sys.executable, "-m", "dvc", *words], cwd=root, check=True, capture_output=True, timeout=900)


def test_missing_arrays_come_out_of_dvcs_cache(tmp_path):
    """As on a clean clone: the folder is gone, and what git tracks says what it held."""
    dvc(tmp_path, "init", "--no-scm", "--quiet")
    folder = write_maps(tmp_path / "cams/last-0")
    tracked = tmp_path / "last-0.json"
    shutil.copy(folder / "manifest.json", tracked)
    dvc(tmp_path, "add", "--quiet", "cams/last-0")
    (folder / "cam.block2.npy").unlink()
    assert load_maps(folder, tracked).open("cam", "block2")[0, 0, 0, 1] == 1
    shutil.rmtree(folder)
    assert load_maps(folder, tracked).open("cam", "block2")[0, 0, 0, 1] == 1


def test_dvcs_reason_for_a_failed_fetch_is_reported(tmp_path):
    """An unreachable remote is reported differently from a file that the remote does not have."""
    dvc(tmp_path, "init", "--no-scm", "--quiet")
    folder = write_maps(tmp_path / "cams/last-0")
    dvc(tmp_path, "add", "--quiet", "cams/last-0")
    dvc(tmp_path, "remote", "add", "--quiet", "--default", "far", "ssh://nobody@127.0.0.1/x")
    (folder / "cam.block2.npy").unlink()
    shutil.rmtree(tmp_path / ".dvc/cache")
    with pytest.raises(InputError) as error:
        load_maps(folder)
    assert "(DVC: " in error.value.found and "dvc-ssh" in error.value.found
    dvc(tmp_path, "remote", "modify", "--quiet", "far", "url", str(tmp_path / "empty"))
    with pytest.raises(InputError) as error:
        load_maps(folder)
    assert error.value.found == "no file, here or in DVC's cache"


@pytest.mark.parametrize(
    ("stderr", "reason"),
    [
        ("", ""),
        (
            "WARNING: so\nERROR: unexpected error - no login\n\nHaving any troubles? Hit us up!\n",
            "unexpected error - no login",
        ),
        (
            "ERROR: failed to transfer 'md5: 1' - denied\nERROR: failed to pull - 1 files\n",
            "failed to transfer 'md5: 1' - denied",
        ),
        ("ERROR: failed to pull - Checkout failed for following targets:\ncams\nIs your cache up to date?\n", ""),
        ("python: No module named dvc\n", "python: No module named dvc"),
    ],
)
def test_the_reason_is_dvcs_first_error(stderr, reason):
    assert _first_error(stderr) == reason
