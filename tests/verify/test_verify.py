"""Nothing that has changed since the stages wrote it goes unseen."""

import json
import os
import random
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from dvc.fs import LocalFileSystem
from dvc.rwlock import rwlock

from tests.finished import finished_project
from tests.pipeline.project import Project
from wheretolook.commands.verify import verify as command
from wheretolook.data.atomic import write_json
from wheretolook.pipeline.locked import Locked, LockedStage, Pin, read_lock
from wheretolook.pipeline.running import watch_dvc
from wheretolook.verify.comparison import check_comparison
from wheretolook.verify.digests import digest, folder_md5
from wheretolook.verify.finding import Finding, remedies
from wheretolook.verify.outputs import output_files
from wheretolook.verify.tree import Tree
from wheretolook.verify.verify import verify

FLIPS = 240


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return finished_project(tmp_path_factory.mktemp("verify"))


@pytest.fixture(scope="module")
def locked(project: Project) -> Locked:
    return read_lock(project.root)


@pytest.fixture
def copy(project: Project, locked: Locked, tmp_path: Path) -> Locked:
    """The same outputs in a folder of their own, to be spoilt."""
    for folder in ("data", "models", "reports"):
        shutil.copytree(project.root / folder, tmp_path / folder)
    return replace(locked, root=tmp_path)


def flip(path: Path, offset: int, bit: int) -> None:
    """Change one bit in place, size and time kept: what DVC itself does not see."""
    path.chmod(0o644)
    before = path.stat()
    with path.open("r+b") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ (1 << bit)]))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def relocked(locked: Locked) -> Locked:
    """As `dvc commit --force` would lock what stands there now, whether or not it belongs together."""

    def pin(old: Pin) -> Pin:
        path = locked.root / old.path
        files = {f.relative_to(path).as_posix(): digest(f).md5 for f in path.rglob("*") if f.is_file()}
        return replace(old, md5=folder_md5(files) if path.is_dir() else digest(path).md5)

    stages = [replace(stage, inputs=(), outputs=tuple(map(pin, stage.outputs))) for stage in locked.stages]
    return replace(locked, stages=tuple(stages))


def edit_json(path: Path, change: Callable[[dict], None]) -> None:
    value = json.loads(path.read_text(encoding="utf-8"))
    change(value)
    write_json(path, value)


def only(findings: tuple[Finding, ...]) -> Finding:
    assert len(findings) == 1, "\n".join(map(str, findings))
    return findings[0]


def test_a_finished_project_has_no_fault(locked: Locked) -> None:
    verified = verify(locked)
    assert verified.findings == ()
    assert verified.files == len(output_files(locked)) > 60


def test_a_bit_flipped_anywhere_in_any_output_is_found(copy: Locked) -> None:
    files, chance = output_files(copy), random.Random(5)
    places = [*files, *chance.choices(files, [file.stat().st_size for file in files], k=FLIPS - len(files))]
    outputs = {pin.path for stage in copy.stages for pin in stage.outputs}
    assert {file.relative_to(copy.root).parts[0] for file in files} == {"data", "models", "reports"}
    for file in places:
        offset, bit = chance.randrange(file.stat().st_size), chance.randrange(8)
        flip(file, offset, bit)
        path = file.relative_to(copy.root).as_posix()
        found = [finding for finding in verify(copy).findings if f"{path}/".startswith(f"{finding.path}/")]
        assert found, f"{path}: bit {bit} of byte {offset}"
        assert found[0].path == path or found[0].path in outputs
        flip(file, offset, bit)
    assert len(places) >= 200
    assert verify(copy).findings == ()


def test_dvc_itself_does_not_see_a_bit_flipped_in_place(project: Project, locked: Locked) -> None:
    file = project.root / "data/cams/last-0/cam.block2.npy"
    flip(file, 200, 3)
    assert "data/cams" not in project.dvc("status").stdout
    finding = only(verify(locked).findings)
    assert finding.path == "data/cams/last-0/cam.block2.npy"
    assert finding.stage == "export@last-0"
    flip(file, 200, 3)


def test_the_commands_that_are_named_put_it_right(project: Project, locked: Locked) -> None:
    (project.root / "data/cams/every-0/logits.npy").unlink()
    array = project.root / "data/prepared/images.npy"
    content = array.read_bytes()
    array.unlink()  # it may be a link to the cache's copy
    array.write_bytes(content[:-1] + b"x")
    (project.root / "models/last-0.safetensors").unlink()
    result = CliRunner().invoke(command, ["--root", str(project.root)])
    assert result.exit_code == 1
    commands = [line.strip() for line in result.output.splitlines() if line.startswith("  ")]
    assert not [line for line in commands if "repro" in line], "all of it is in the cache"
    for line in commands:
        project.run("sh", "-c", line)
    assert verify(locked).findings == ()


def test_under_a_dvc_at_work_no_command_is_named(project: Project) -> None:
    model, lock = project.root / "models/last-0.safetensors", project.root / "dvc.lock"
    content, locked = model.read_bytes(), lock.read_bytes()
    words = ["--root", str(project.root)]
    busy = f"process {os.getpid()}, a dvc, waits for a stage; wait until it ends, then verify again"
    with rwlock(str(project.root / ".dvc/tmp"), LocalFileSystem(), "dvc repro", [], ["models/last-0"], False):
        assert CliRunner().invoke(command, words).exit_code == 0, "what is whole is whole"
        model.unlink()
        faulty = CliRunner().invoke(command, words)
        lock.write_bytes(locked[: locked.index(b"hash:") + 5])
        cut = CliRunner().invoke(command, words)
    model.write_bytes(content)
    lock.write_bytes(locked)
    assert faulty.exit_code == cut.exit_code == 1
    assert "models/last-0.safetensors: expected" in faulty.output and busy in faulty.output
    assert "dvc checkout" not in faulty.output and "put it right" not in faulty.output
    assert "expected outputs at rest" in cut.output and "a dvc, waits for a stage" in cut.output


def test_a_dvc_that_ended_meanwhile_is_seen_by_the_lock_that_it_wrote(project: Project) -> None:
    told = watch_dvc(project.root)
    assert told() == ""
    os.utime(project.root / "dvc.lock")
    assert told() == f"a dvc has written {project.root / 'dvc.lock'}"


def test_from_a_folder_below_it_says_where_to_go(project: Project) -> None:
    result = CliRunner().invoke(command, ["--root", str(project.root / "reports")])
    assert result.exit_code == 1 and "reports: expected a folder with dvc.yaml, found none; go to" in result.output


def test_what_a_removed_model_left_is_told_and_is_no_fault(project: Project) -> None:
    left = project.root / "models/gone.safetensors"
    shutil.copyfile(project.root / "models/last-0.safetensors", left)
    result = CliRunner().invoke(command, ["--root", str(project.root)])
    left.unlink()
    assert result.exit_code == 0, result.output
    assert "does not name: gone; `wheretolook tidy` lists it" in result.output


def test_a_damaged_copy_in_the_cache_is_removed_before_the_stage_runs_again(copy: Locked, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    shutil.copytree(copy.cache, cache)
    copy = replace(copy, cache=cache)
    model = "models/every-0.safetensors"
    spoilt = copy.cached_copy(digest(copy.root / model).md5)
    flip(copy.root / model, 700, 0)
    flip(spoilt, 700, 0)
    commands = remedies(verify(copy).findings)
    assert commands == [
        f"rm -rf {model} {spoilt}",
        "dvc repro --single-item --force train@every-0",
        "dvc repro",
    ]


def test_a_file_too_many_is_found(copy: Locked) -> None:
    (copy.root / "data/cams/last-0/left-over.npy").write_bytes(b"x")
    finding = only(verify(copy).findings)
    assert (finding.path, finding.remedy) == ("data/cams/last-0/left-over.npy", "remove")


def test_a_scratch_file_that_dvc_ignores_is_no_fault(copy: Locked) -> None:
    copy = replace(copy, is_ignored=lambda path: ".part-" in path.name)
    (copy.root / "data/prepared/images.npy.part-77").write_bytes(b"x")
    assert verify(copy).findings == ()


def test_outputs_that_are_not_here_are_a_fault_unless_they_may_be(copy: Locked) -> None:
    shutil.rmtree(copy.root / "data")
    missing = {finding.path for finding in verify(copy).findings}
    assert missing == {"data/raw", "data/prepared", "data/comparison", "data/cams/last-0", "data/cams/every-0"}
    assert verify(copy, allow_missing=True).findings == ()


def test_a_folder_of_which_some_files_are_here_may_be_so(copy: Locked) -> None:
    (copy.root / "data/cams/last-0/manifest.json").unlink()
    (copy.root / "data/raw/images/infected/0003.png").unlink()
    assert len(verify(copy).findings) == 2
    assert verify(copy, allow_missing=True).findings == ()


def test_what_the_cache_lacks_is_asked_of_the_remote_before_a_stage_runs_again(copy: Locked, tmp_path: Path) -> None:
    elsewhere = replace(copy, cache=tmp_path / "empty")
    (copy.root / "models/last-0.safetensors").unlink()
    assert "dvc repro --single-item --force train@last-0" in remedies(verify(elsewhere).findings)
    assert remedies(verify(replace(elsewhere, has_remote=True)).findings) == ["dvc pull models/last-0.safetensors"]


def test_a_stage_that_ran_on_another_input_is_found(locked: Locked) -> None:
    def older(stage: LockedStage) -> LockedStage:
        moved = tuple(replace(p, md5="0" * 32) if p.path == "models/last-0.safetensors" else p for p in stage.inputs)
        return replace(stage, inputs=moved) if stage.name == "export@last-0" else stage

    finding = only(verify(replace(locked, stages=tuple(map(older, locked.stages)))).findings)
    assert finding.stage == "export@last-0"
    assert "models/last-0.safetensors" in finding.expected


def test_a_comparison_of_other_manifests_is_found(locked: Locked) -> None:
    def older(stage: LockedStage) -> LockedStage:
        moved = tuple(replace(p, md5="0" * 32 + ".dir") if p.path == "reports/exports" else p for p in stage.inputs)
        return replace(stage, inputs=moved) if stage.name == "compare" else stage

    assert only(verify(replace(locked, stages=tuple(map(older, locked.stages)))).findings).stage == "compare"


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
