"""`wheretolook tidy` removes what removed models have left, and nothing else."""

import hashlib
import json
import os
import subprocess
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner
from dvc.fs import LocalFileSystem
from dvc.lock import Lock
from dvc.rwlock import rwlock

from wheretolook.cli.main import main
from wheretolook.project.leftovers import PLACES
from wheretolook.project.params_file import SECTION_NAMES

PARAMS = "\n".join(f"{section}: {{}}" for section in SECTION_NAMES if section not in ("models", "drive"))
PARAMS += "\nmodels: {kept: {seed: 0}}\ndrive: {brought: {id: x}}\n"
LOCK = "schema: '2.0'\nstages:\n" + "".join(
    f"  {stage}:\n    cmd: run\n    outs:\n    - path: {path}\n      md5: '0123'\n"
    for stage, path in (
        ("fetch", "data/raw"),
        ("train@kept", "models/kept.safetensors"),
        ("train@gone", "models/gone.safetensors"),
        ("export-drive@gone", "data/cams/gone"),
        ("export@gone", "reports/exports/gone.json"),
        ("score-drive@gone", "reports/models/gone.json"),
        ("sync@brought", "models/brought.safetensors"),
    )
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / ".dvc/tmp").mkdir(parents=True)
    (tmp_path / ".dvc/config").write_text("[core]\n    no_scm = True\n")
    (tmp_path / "params.yaml").write_text(PARAMS)
    (tmp_path / "dvc.yaml").write_text("stages: {}\n")
    (tmp_path / "dvc.lock").write_text(LOCK)
    for place in PLACES:
        for name in ("kept", "brought", "gone"):
            path = tmp_path / place.replace("*", name)
            if not path.suffix:
                path = path / "file"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"x" * 100_000)
    return tmp_path


def tidy(root: Path, *words: str, status: int = 0) -> str:
    done = CliRunner().invoke(main, ["tidy", "--root", str(root), *words])
    assert done.exit_code == status, done.output
    return done.output


def files(root: Path) -> set[str]:
    return {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}


def test_it_only_lists_without_yes(root: Path):
    before = files(root)
    lines = tidy(root).splitlines()
    assert lines[:-1] == [
        *sorted(place.replace("*", "gone") for place in PLACES),
        "dvc.lock: train@gone",
        "dvc.lock: export-drive@gone",
        "dvc.lock: export@gone",
        "dvc.lock: score-drive@gone",
    ]
    assert lines[-1] == "tidy: 0.8 MB of gone: `wheretolook tidy --yes` removes it"
    assert files(root) == before and (root / "dvc.lock").read_text() == LOCK


def test_all_of_a_removed_model_goes_and_all_else_stays(root: Path):
    before = files(root)
    assert tidy(root, "--yes").splitlines()[-1].startswith("tidy: removed 0.8 MB of gone; copies in DVC's cache")
    assert {path for path in before - files(root) if "gone" not in path} == set()
    assert not [path for path in files(root) if "gone" in path]
    assert tidy(root, "--yes") == "tidy: no files of models that params.yaml does not name\n"


def test_its_stages_leave_the_lock_and_every_other_line_stays(root: Path):
    tidy(root, "--yes")
    text = (root / "dvc.lock").read_text()
    assert list(yaml.safe_load(text)["stages"]) == ["fetch", "train@kept", "sync@brought"]
    assert set(text.splitlines()) < set(LOCK.splitlines())


def test_a_lock_in_another_style_is_left_as_it_is(root: Path):
    text = LOCK + "  score@gone: {cmd: run}\n  'export@gone':\n    cmd: run\n"
    (root / "dvc.lock").write_text(text)
    tidy(root, "--yes")
    assert {"score@gone", "export@gone"} <= yaml.safe_load((root / "dvc.lock").read_text())["stages"].keys()


def test_what_no_model_can_be_called_is_not_touched(root: Path):
    for name in ("models/a.part-1.safetensors", "models/notes.txt", "data/cams/.gitignore", "reports/models/1.json"):
        (root / name).write_text("mine")
    assert not set(tidy(root).splitlines()) & {"models/notes.txt", "models/a.part-1.safetensors"}
    tidy(root, "--yes")
    assert (root / "models/a.part-1.safetensors").exists() and (root / "models/notes.txt").exists()
    assert (root / "data/cams/.gitignore").exists() and (root / "reports/models/1.json").exists()


def test_names_that_differ_by_case_alone_are_one(root: Path):
    (root / "models/KEPT.safetensors").touch()
    assert "KEPT" not in tidy(root)


def test_a_link_is_removed_and_not_what_it_leads_to(root: Path, tmp_path_factory: pytest.TempPathFactory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "file").touch()
    (root / "data/cams/linked").symlink_to(elsewhere)
    (root / "dvc.lock").write_text(LOCK.replace("data/cams/gone", "data/cams/linked"))
    tidy(root, "--yes")
    assert not os.path.lexists(root / "data/cams/linked") and (elsewhere / "file").exists()


def test_what_no_stage_wrote_is_listed_and_stays(root: Path):
    mine = ["data/cams/notes/n.txt", "models/colleague.safetensors", "reports/models/hand.json"]
    for name in mine:
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text(name)
    lines = tidy(root, "--yes").splitlines()
    assert [line for line in lines if "not written by a stage" in line] == [
        "data/cams/notes: not written by a stage, kept; move it elsewhere if you need it",
        "models/colleague.safetensors: not written by a stage, kept; move it elsewhere if you need it",
        "reports/models/hand.json: not written by a stage, kept; move it elsewhere if you need it",
    ]
    assert lines[-1].startswith("tidy: removed 0.8 MB of gone; copies in DVC's cache") and set(mine) <= files(root)
    assert tidy(root).splitlines()[-1] == "tidy: no other files of models that params.yaml does not name"


def test_what_the_lock_has_forgotten_goes_where_the_cache_holds_its_bytes(root: Path):
    (root / "dvc.lock").unlink()
    first, second = root / "data/cams/gone/file", root / "data/cams/gone/below/b.npy"
    second.parent.mkdir()
    second.write_text("maps")
    cache(root, first)
    assert "data/cams/gone: not written by a stage, kept" in tidy(root), "of one of its files there is no copy"
    cache(root, second)
    assert "data/cams/gone" in tidy(root, "--yes").splitlines() and not second.exists()


def cache(root: Path, file: Path) -> None:
    md5 = hashlib.md5(file.read_bytes()).hexdigest()
    copy = root / ".dvc/cache/files/md5" / md5[:2] / md5[2:]
    copy.parent.mkdir(parents=True, exist_ok=True)
    copy.write_bytes(file.read_bytes())


def test_a_damaged_lock_is_a_reason_to_touch_nothing(root: Path):
    (root / "dvc.lock").write_text(LOCK[:60])
    before = files(root)
    assert 'Run "make mend"' in tidy(root, "--yes", status=1)
    assert before <= files(root)


@pytest.mark.parametrize("text", ["models: [", "models: {kept: {seed: 0}}\n", PARAMS.replace("kept", "1")])
def test_nothing_is_touched_where_params_are_not_valid(text: str, root: Path):
    (root / "params.yaml").write_text(text)
    before = files(root)
    assert "params.yaml: " in tidy(root, "--yes", status=1)
    assert before <= files(root)


def test_in_another_folder_it_says_where_to_go(root: Path):
    assert "models: expected a folder with dvc.yaml, found none. Go to the project's folder" in tidy(
        root / "models", status=1
    )


def test_nothing_is_touched_while_a_dvc_is_at_work(root: Path):
    before = files(root)
    with Lock(str(root / ".dvc/tmp/lock")):
        assert "expected no running DVC command" in tidy(root, "--yes", status=1)
    with rwlock(str(root / ".dvc/tmp"), LocalFileSystem(), "dvc repro", ["params.yaml"], ["data/raw"], False):
        assert "is waiting for a stage. Wait until it ends" in tidy(root, "--yes", status=1)
    assert before <= files(root)


def result(root: Path, place: str, name: str, sha256: str) -> Path:
    """A file that says that it is a result of a model, and of which file."""
    path = root / place / f"{name}.json"
    path.write_text(json.dumps({"of": place, "name": name, "model": {"name": name, "sha256": sha256}}))
    return path


def test_results_of_an_undone_model_go_with_the_manifest_that_the_cache_holds(root: Path):
    exported = result(root, "reports/exports", "undone", "ab" * 32)
    cache(root, exported)
    scored = result(root, "reports/models", "undone", "ab" * 32)
    table = root / "reports/plots/confusion/undone.csv"
    table.write_text("actual,predicted\n")
    edited = result(root, "reports/models", "edited", "ab" * 32)
    edited.with_name("copy.json").write_bytes(scored.read_bytes())
    lines = tidy(root, "--yes").splitlines()
    assert not exported.exists() and not scored.exists() and not table.exists()
    assert [line.partition(":")[0] for line in lines if "not written by a stage" in line] == [
        "reports/models/copy.json",
        "reports/models/edited.json",
    ]
    assert edited.exists() and edited.with_name("copy.json").exists()


def test_a_result_of_another_file_than_the_cached_one_stays(root: Path):
    exported = result(root, "reports/exports", "undone", "ab" * 32)
    cache(root, exported)
    other = result(root, "reports/models", "undone", "cd" * 32)
    assert "reports/models/undone.json: not written by a stage, kept" in tidy(root, "--yes")
    assert other.exists() and not exported.exists()


def test_a_result_goes_whose_model_the_run_cache_knows_and_the_cache_holds(root: Path):
    model = root / "models/undone.safetensors"
    model.write_text("weights")
    cache(root, model)
    scored = result(root, "reports/models", "undone", hashlib.sha256(b"weights").hexdigest())
    model.unlink()
    assert "reports/models/undone.json: not written by a stage, kept" in tidy(root)
    run = root / ".dvc/cache/runs/ab/abcd/ef"
    run.parent.mkdir(parents=True)
    md5 = hashlib.md5(b"weights").hexdigest()
    run.write_text(f"cmd: run\nouts:\n- path: models/undone.safetensors\n  md5: {md5}\n")
    assert "reports/models/undone.json" in tidy(root, "--yes").splitlines() and not scored.exists()


def test_a_result_goes_that_git_keeps_and_stays_once_it_is_edited(root: Path):
    path, notes = result(root, "reports/models", "undone", "ab" * 32), root / "reports/models/notes.json"
    notes.write_text("[]")
    for words in (
        ["init", "-q"],
        ["add", "-f", "reports/models"],
        ["-c", "user.name=t", "-c", "user.email=t@localhost", "commit", "-qm", "results"],
    ):
        subprocess.run(["git", *words], cwd=root, check=True)
    path.write_text(text := path.read_text() + "\n")
    assert "reports/models/undone.json: not written by a stage, kept" in tidy(root, "--yes")
    path.write_text(text[:-1])
    lines = tidy(root, "--yes").splitlines()
    assert "reports/models/undone.json" in lines and not path.exists()
    assert notes.exists() and "reports/models/notes.json" not in lines, "it names no model"
