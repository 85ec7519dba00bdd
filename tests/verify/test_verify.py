"""Nothing that has changed since the stages wrote it goes unseen."""

import os
import random
import shutil
from dataclasses import replace
from pathlib import Path

from click.testing import CliRunner
from dvc.fs import LocalFileSystem
from dvc.rwlock import rwlock

from tests.pipeline.project import Project
from wheretolook.cli.project_commands import verify as command
from wheretolook.project.dvc_state import Locked, LockedStage, watch_dvc
from wheretolook.verify.checks import Finding, digest, output_files, remedies
from wheretolook.verify.contents import verify

FLIPS = 100


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
    assert len(places) >= FLIPS
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
    busy = f"DVC (process {os.getpid()}) is waiting for a stage; wait until it ends, then verify again"
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
    assert "dvc checkout" not in faulty.output and "repair it" not in faulty.output
    assert "expected no running DVC command" in cut.output and "is waiting for a stage" in cut.output


def test_a_dvc_that_ended_meanwhile_is_seen_by_the_lock_that_it_wrote(project: Project) -> None:
    told = watch_dvc(project.root)
    assert told() == ""
    os.utime(project.root / "dvc.lock")
    assert told() == f"DVC has written {project.root / 'dvc.lock'}"


def test_from_a_folder_below_it_says_where_to_go(project: Project) -> None:
    result = CliRunner().invoke(command, ["--root", str(project.root / "reports")])
    assert result.exit_code == 1 and "reports: expected a folder with dvc.yaml, found none" in result.output


def test_what_a_removed_model_left_is_told_and_is_no_fault(project: Project) -> None:
    left = project.root / "models/gone.safetensors"
    shutil.copyfile(project.root / "models/last-0.safetensors", left)
    result = CliRunner().invoke(command, ["--root", str(project.root)])
    left.unlink()
    assert result.exit_code == 0, result.output
    assert "does not name: gone; `wheretolook tidy` lists them" in result.output


def test_results_of_a_removed_model_are_reported_because_stages_rerun_for_them(project: Project) -> None:
    strays = [project.root / f"reports/{place}/gone.json" for place in ("exports", "models")]
    for stray in strays:
        shutil.copyfile(stray.with_stem("last-0"), stray)
    result = CliRunner().invoke(command, ["--root", str(project.root)])
    for stray in strays:
        stray.unlink()
    assert result.exit_code == 1
    message = "expected no file: params.yaml has no such model, found a file, so stages rerun"
    assert [line for line in result.output.splitlines() if "expected" in line] == [
        f"reports/exports/gone.json: {message} (stage compare)",
        f"reports/models/gone.json: {message} (stage compare)",
    ]
    commands = [line.strip() for line in result.output.splitlines() if line.startswith("  ")]
    assert commands == ["wheretolook tidy --yes"]


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


def test_another_size_in_the_lock_is_found_beside_the_right_md5(locked: Locked) -> None:
    def resized(stage: LockedStage) -> LockedStage:
        wrong = {"models/last-0.safetensors", "data/cams/every-0"}
        return replace(stage, outputs=tuple(replace(p, size=500) if p.path in wrong else p for p in stage.outputs))

    findings = verify(replace(locked, stages=tuple(map(resized, locked.stages)))).findings
    assert {finding.path: finding.stage for finding in findings} == {
        "models/last-0.safetensors": "train@last-0",
        "data/cams/every-0": "export@every-0",
    }
    assert all(finding.expected == "500 bytes (dvc.lock)" for finding in findings)
    assert "dvc repro --single-item --force train@last-0 export@every-0" in remedies(findings)


def test_a_comparison_of_other_manifests_is_found(locked: Locked) -> None:
    def older(stage: LockedStage) -> LockedStage:
        moved = tuple(replace(p, md5="0" * 32 + ".dir") if p.path == "reports/exports" else p for p in stage.inputs)
        return replace(stage, inputs=moved) if stage.name == "compare" else stage

    assert only(verify(replace(locked, stages=tuple(map(older, locked.stages)))).findings).stage == "compare"
