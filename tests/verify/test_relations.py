"""What does not belong together is found, though each byte is as dvc.lock has it."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from wheretolook.base.files import write_json
from wheretolook.project.dvc_state import Locked, Pin
from wheretolook.verify.checks import digest, folder_md5
from wheretolook.verify.contents import Tree, check_comparison, verify


def relocked(locked: Locked) -> Locked:
    """As `dvc commit --force` would lock what stands there now, whether or not it belongs together."""

    def pin(old: Pin) -> Pin:
        path = locked.root / old.path
        there = [file for file in path.rglob("*") if file.is_file()] if path.is_dir() else [path]
        files = {file.relative_to(path).as_posix(): digest(file).md5 for file in there}
        md5 = folder_md5(files) if path.is_dir() else digest(path).md5
        return replace(old, md5=md5, size=sum(file.stat().st_size for file in there))

    stages = [replace(stage, inputs=(), outputs=tuple(map(pin, stage.outputs))) for stage in locked.stages]
    return replace(locked, stages=tuple(stages))


def edit_json(path: Path, change: Callable[[dict], None]) -> None:
    value = json.loads(path.read_text(encoding="utf-8"))
    change(value)
    write_json(path, value)


def test_means_without_a_spread_lack_nothing(tmp_path: Path) -> None:
    """Of one image of each class there is none."""
    listed, array = tmp_path / "reports/comparison/overlays.json", tmp_path / "data/comparison/one/cam.block2.mean.npy"
    entry = {"mean": "one/cam.block2.mean.npy", "spread": None, "shape": [2, 7, 7]}
    write_json(listed, {"models": {"one": {"cam.block2": entry}}})
    array.parent.mkdir(parents=True)
    np.save(array, np.zeros((2, 7, 7), np.float32))
    tree = Tree(tmp_path, {file: digest(file) for file in (listed, array)}, {"data/comparison": "compare"}, frozenset())
    assert list(check_comparison(tree)) == []


def spoil_model(root: Path) -> None:
    shutil.copy(root / "models/every-0.safetensors", root / "models/last-0.safetensors")


def spoil_shape(root: Path) -> None:
    for manifest in (root / "data/cams/last-0/manifest.json", root / "reports/exports/last-0.json"):
        edit_json(manifest, lambda value: value["arrays"]["cam.block2.npy"].update(shape=[24, 2, 5, 5]))


def spoil_data(root: Path) -> None:
    array = np.load(root / "data/prepared/images.npy") // 2
    np.save(root / "data/prepared/images.npy", array)
    edit_json(
        root / "data/prepared/audit.json",
        lambda value: value["sha256"].update({"images.npy": digest(root / "data/prepared/images.npy").sha256}),
    )


def spoil_length(root: Path) -> None:
    with (root / "models/every-0.safetensors").open("ab") as file:
        file.write(b"more")


def spoil_header(root: Path) -> None:
    path = root / "models/every-0.safetensors"
    path.write_bytes(path.read_bytes().replace(b'"data_offsets"', b'"data_offsetz"'))


# What was spoilt, then locked again as if it were right; and which stages are to run again, for which file.
RELATIONS = {
    "maps and results of another model file": (
        spoil_model,
        {("data/cams/last-0/manifest.json", "export@last-0"), ("reports/models/last-0.json", "score@last-0")},
    ),
    "a copied manifest that differs": (
        lambda root: edit_json(root / "reports/exports/last-0.json", lambda value: value.update(precision="bfloat16")),
        {("reports/exports/last-0.json", "export@last-0")},
    ),
    "an array of another shape": (spoil_shape, {("data/cams/last-0/cam.block2.npy", "export@last-0")}),
    "an array of other bytes": (
        lambda root: np.save(root / "data/cams/last-0/logits.npy", np.load(root / "data/cams/last-0/logits.npy") + 1),
        {("data/cams/last-0/logits.npy", "export@last-0")},
    ),
    "an array that no manifest names": (
        lambda root: np.save(root / "data/cams/last-0/other.npy", np.zeros(3)),
        {("data/cams/last-0/other.npy", "export@last-0")},
    ),
    "models and maps of other data": (
        spoil_data,
        {(f"models/{name}.safetensors", f"train@{name}") for name in ("last-0", "every-0")}
        | {(f"data/cams/{name}/manifest.json", f"export@{name}") for name in ("last-0", "every-0")},
    ),
    "prepared data that their audit does not know": (
        lambda root: np.save(root / "data/prepared/masks.npy", np.load(root / "data/prepared/masks.npy") * 0),
        {("data/prepared/masks.npy", "prepare")},
    ),
    "a raw file that the index does not know": (
        lambda root: (root / "data/raw/images/infected/0003.png").write_bytes(b"another"),
        {("data/raw/images/infected/0003.png", "prepare")},
    ),
    "a raw file that is gone": (
        lambda root: (root / "data/raw/images/infected/0003.png").unlink(),
        {("data/raw/images/infected/0003.png", "prepare")},
    ),
    "a model longer than its header says": (
        spoil_length,
        {
            ("models/every-0.safetensors", "train@every-0"),
            ("data/cams/every-0/manifest.json", "export@every-0"),
            ("reports/models/every-0.json", "score@every-0"),
        },
    ),
    "a model whose header does not say where its tensors are": (
        spoil_header,
        {
            ("models/every-0.safetensors", "train@every-0"),
            ("data/cams/every-0/manifest.json", "export@every-0"),
            ("reports/models/every-0.json", "score@every-0"),
        },
    ),
    "a mean map of another shape": (
        lambda root: np.save(root / "data/comparison/last-0/cam.block2.mean.npy", np.zeros((2, 3, 3), np.float32)),
        {("data/comparison/last-0/cam.block2.mean.npy", "compare")},
    ),
}


@pytest.mark.parametrize("case", RELATIONS)
def test_what_does_not_belong_together_is_found_though_each_byte_is_locked(copy: Locked, case: str) -> None:
    spoil, expected = RELATIONS[case]
    assert verify(relocked(copy)).findings == ()
    spoil(copy.root)
    assert {(finding.path, finding.stage) for finding in verify(relocked(copy)).findings} == expected
