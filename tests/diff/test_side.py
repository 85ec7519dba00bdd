"""The two sides: where results come from, and the errors if they are missing or damaged."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from pygit2 import GitError

from tests.diff.changed import LAST, read_diff, run
from tests.pipeline.project import Project
from wheretolook.base.files import sha256_of, write_json


def test_missing_maps_are_fetched_from_the_cache(project: Project) -> None:
    shutil.rmtree(project.root / "data/cams")
    (project.root / "data/prepared/images.npy").unlink()
    assert read_diff(project, "base")["models"][1]["drift"]["images"] == 12


def test_a_clone_fetches_from_the_remote_only_what_it_compares(project: Project, tmp_path: Path) -> None:
    remote = str(tmp_path / "remote")
    project.dvc("remote", "add", "--local", "--default", "--force", "store", remote)
    project.dvc("push", "--quiet", "--all-commits")
    clone = Project(tmp_path / "clone")
    subprocess.run(["git", "clone", "-q", str(project.root), str(clone.root)], check=True)
    clone.dvc("remote", "add", "--local", "--default", "store", remote)
    found = read_diff(clone, "base", "HEAD")
    assert found["models"][1]["drift"]["mean"] == pytest.approx(0.5, abs=1e-6)
    cached = {sha256_of(file) for file in (clone.root / ".dvc/cache/files").rglob("*") if file.is_file()}
    arrays = json.loads((clone.root / "reports/exports/every-0.json").read_text(encoding="utf-8"))["arrays"]
    assert {name for name, pinned in arrays.items() if pinned["sha256"] in cached} == {LAST, "logits.npy"}


def test_without_maps_the_figures_are_compared_and_a_drift_limit_fails(project: Project, tmp_path: Path) -> None:
    clone = Project(tmp_path / "clone")
    subprocess.run(["git", "clone", "-q", str(project.root), str(clone.root)], check=True)
    result = run(clone, "base", "HEAD", "--max-drift", "2")
    assert result.exit_code == 1
    assert "predictions and maps could not be compared" in result.output
    assert "test.accuracy" in result.output
    assert "could not be measured" in result.output


@pytest.mark.parametrize("sides", [("base", "HEAD"), ("workspace", "HEAD")])
def test_the_reason_for_a_failed_fetch_is_printed(project: Project, tmp_path: Path, sides: tuple[str, str]) -> None:
    clone = Project(tmp_path / "clone")
    subprocess.run(["git", "clone", "-q", str(project.root), str(clone.root)], check=True)
    clone.dvc("remote", "add", "--local", "--default", "far", "ssh://nobody@127.0.0.1/x")
    if "workspace" in sides:
        edit_manifest(clone.root)
    result = run(clone, *sides)
    assert result.exit_code == 0, result.output
    assert re.search(r"\(DVC( said)?: .*dvc-ssh.*\)\. Run \"dvc push\"", result.output)


def edit_manifest(root: Path) -> None:
    """As if the maps were others, so that they must be read."""
    path = root / "reports/exports/every-0.json"
    manifest = json.loads(path.read_text(encoding="utf-8"))
    manifest["arrays"]["logits.npy"]["sha256"] = "0" * 64
    write_json(path, manifest)


def test_a_model_that_no_report_has_seen_yet_is_refused(project: Project) -> None:
    names = project.root / "reports/names.json"
    before = names.read_text(encoding="utf-8")
    named = json.loads(before)
    named["models"].append("every-2")
    names.write_text(json.dumps(named), encoding="utf-8")
    try:
        result = run(project, "every-0", "every-2")
    finally:
        names.write_text(before, encoding="utf-8")
    assert result.exit_code == 1
    assert "workspace: reports/metrics.json: expected metrics of every-2, found metrics of every-0, " in result.output
    assert 'run "dvc repro"' in result.output


def edited(path: Path, key: str, value: object) -> str:
    return json.dumps(json.loads(path.read_text(encoding="utf-8")) | {key: value})


@pytest.mark.parametrize(
    ("file", "spoil"),
    [
        ("names.json", lambda path: "{}"),
        ("names.json", lambda path: '{"models": 3}'),
        ("metrics.json", lambda path: path.read_text(encoding="utf-8")[:-30]),
        ("metrics.json", lambda path: "[]"),
        ("metrics.json", lambda path: edited(path, "every-0", 1)),
        ("metrics.json", lambda path: edited(path, "every-0", {"test": {"accuracy": None}})),
        ("metrics.json", lambda path: edited(path, "every-0", {"test": {"accuracy": float("nan")}})),
        ("comparison/agreement.json", lambda path: path.read_text(encoding="utf-8")[:-30]),
        ("comparison/agreement.json", lambda path: "{}"),
        ("comparison/agreement.json", lambda path: '{"rows": [{}]}'),
        ("exports/every-0.json", lambda path: path.read_text(encoding="utf-8")[:-30]),
        ("exports/every-0.json", lambda path: edited(path, "arrays", [])),
        ("exports/every-0.json", lambda path: edited(path, "arrays", {"logits.npy": {"sha256": None}})),
        ("exports/every-0.json", lambda path: edited(path, "layers", [])),
        ("models/last-0.json", lambda path: "{}"),
    ],
)  # fmt: skip
def test_a_file_that_was_cut_or_edited_is_refused(project: Project, file: str, spoil) -> None:
    path = project.root / "reports" / file
    before = path.read_bytes()
    path.write_text(spoil(path), encoding="utf-8")
    try:
        done = run(project, "workspace", "base")
    finally:
        path.write_bytes(before)
    assert done.exit_code == 1 and isinstance(done.exception, SystemExit), done.exception
    assert file in done.output and 'un "dvc repro' in done.output, done.output


def test_what_is_no_utf_8_is_refused(project: Project) -> None:
    path = project.root / "reports/names.json"
    before = path.read_bytes()
    path.write_bytes(b"\xff" + before)
    try:
        done = run(project, "base")
    finally:
        path.write_bytes(before)
    assert done.exit_code == 1 and "reports/names.json: expected JSON, found invalid JSON ('utf-8' codec" in done.output


def test_a_manifest_that_is_missing_is_refused(project: Project) -> None:
    path = project.root / "reports/exports/every-0.json"
    before = path.read_bytes()
    path.unlink()
    try:
        done = run(project, "workspace", "base")
    finally:
        path.write_bytes(before)
    assert done.exit_code == 1
    assert "workspace: expected reports/exports/every-0.json of a finished run, found no such file" in done.output


def test_a_repository_that_git_refuses_is_reported_with_gits_advice(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(scm: object, name: str) -> str:
        raise GitError(f"repository path '{project.root}' is not owned by current user")

    monkeypatch.setattr("dvc.scm.resolve_rev", refuse)
    result = run(project, "base")
    assert result.exit_code == 1
    assert "is not owned by current user" in result.stderr
    assert f'"git config --global --add safe.directory {project.root}"' in result.stderr
