"""What a killed dvc leaves behind is mended; what is whole is left alone."""

import os
import random
import resource
import subprocess
import sys
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from click.testing import CliRunner
from dvc.dvcfile import Lockfile
from dvc.exceptions import DvcException
from dvc.fs import LocalFileSystem
from dvc.lock import Lock, LockError
from dvc.rwlock import rwlock
from dvc.utils import strictyaml

from tests.pipeline.code_dependencies import ROOT
from wheretolook.base.errors import InputError
from wheretolook.base.files import replacing
from wheretolook.cli.mend_command import is_whole_lock, main, mend

WHOLE = """schema: '2.0'
stages:
  fetch:
    cmd: run
    deps:
    - path: stages/fetch.py
      hash: md5
      md5: 13e45aa0
      size: 2105
    params:
      params.yaml:
        fetch.seed: 0
    outs:
    - path: data/raw
      hash: md5
      md5: 4567.dir
      size: 71
      nfiles: 2
"""
CONFLICT = """schema: '2.0'
stages:
  fetch:
<<<<<<< HEAD
    cmd: run
=======
    cmd: run --fast
>>>>>>> other
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / ".dvc" / "tmp").mkdir(parents=True)
    (tmp_path / ".dvc" / "tmp" / "dvc.lock.whole").write_text(WHOLE)
    return tmp_path


def test_a_whole_lock_is_left_alone(root: Path) -> None:
    (root / "dvc.lock").write_text(WHOLE.replace("4567", "89ab"))
    assert mend(root) == []
    assert "89ab" in (root / "dvc.lock").read_text()


def test_no_lock_at_all_is_no_fault(root: Path) -> None:
    assert mend(root) == []
    assert not (root / "dvc.lock").exists()


@pytest.mark.parametrize("cut", ["", "sch", "schema: '2.0'\nstages:\n", "schema: '2.0'\nstages:\n  fetch:\n    cm"])
def test_a_cut_lock_is_put_back(root: Path, cut: str) -> None:
    (root / "dvc.lock").write_text(cut)
    assert len(mend(root)) == 1
    assert (root / "dvc.lock").read_text() == WHOLE


def dvc_reads(lock: Path) -> bool:
    """Whether DVC itself loads the file, as every command of its begins."""
    try:
        strictyaml.load(str(lock), Lockfile.SCHEMA, LocalFileSystem())
    except DvcException:
        return False
    return True


def test_every_prefix_is_mended_or_whole(root: Path) -> None:
    lock = root / "dvc.lock"
    for length in range(len(WHOLE)):
        lock.write_text(WHOLE[:length])
        readable = dvc_reads(lock)
        assert (mend(root) == []) is readable, WHOLE[:length]
        assert lock.read_text() == (WHOLE[:length] if readable else WHOLE)
    for null in ("hash:", "md5: 13", "params:\n", "outs:\n"):
        lock.write_text(WHOLE[: WHOLE.index(null) + len(null)])
        assert not is_whole_lock(lock), null


def test_the_committed_lock_is_whole_and_its_cuts_are_what_dvc_takes_them_for(tmp_path: Path) -> None:
    lock, content = tmp_path / "dvc.lock", (ROOT / "dvc.lock").read_bytes()
    chance = random.Random(5)
    for length in [len(content), *(chance.randrange(len(content) // 4) for _ in range(12))]:
        lock.write_bytes(content[:length])
        assert is_whole_lock(lock) is dvc_reads(lock), length
    assert is_whole_lock(ROOT / "dvc.lock")


def test_a_lock_that_git_could_not_merge_is_refused_and_left_as_it_is(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "dvc.lock").write_text(CONFLICT)
    left = leave_scratch(root / "data/raw.part-1a2b3c")
    with pytest.raises(InputError, match="git checkout --ours"):
        mend(root)
    assert (root / "dvc.lock").read_text() == CONFLICT and left.exists()
    monkeypatch.chdir(root)
    done = CliRunner().invoke(main)
    assert done.exit_code == 1 and done.stderr.startswith(
        "Error: dvc.lock: expected DVC's lock file, found git's conflict"
    )


def test_on_a_full_disk_it_ends_with_one_message(root: Path) -> None:
    (root / "dvc.lock").write_text("")
    code = f"resource.setrlimit(resource.RLIMIT_FSIZE, (99, {resource.RLIM_INFINITY}))"
    code = f"import resource; {code}; from wheretolook.cli.mend_command import main; main()"
    done = subprocess.run([sys.executable, "-c", code], cwd=root, env=env_of_src(), capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("Error: dvc.lock: larger than the file size limit"), done.stderr
    assert (root / "dvc.lock").read_text() == ""


def env_of_src() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(ROOT / "src"), "PYTHONDONTWRITEBYTECODE": "1"}


def test_without_a_kept_copy_a_broken_lock_is_removed(root: Path) -> None:
    (root / ".dvc" / "tmp" / "dvc.lock.whole").unlink()
    (root / "dvc.lock").write_text("schema")
    assert "removed" in mend(root)[0]
    assert not (root / "dvc.lock").exists()


def test_a_cut_rwlock_is_removed(root: Path) -> None:
    (root / ".dvc" / "tmp" / "rwlock").write_text('{"data/raw": {"wri')
    assert len(mend(root)) == 1
    assert not (root / ".dvc" / "tmp" / "rwlock").exists()


def leave_scratch(path: Path) -> Path:
    """A scratch folder as a killed stage leaves it: its lock file is there, and nobody holds the lock."""
    path.mkdir(parents=True)
    path.with_name(f"{path.name}.lock").touch()
    return path


def test_unfinished_outputs_of_dead_processes_are_removed(root: Path) -> None:
    dead, old = leave_scratch(root / "data/raw.part-1a2b3c"), leave_scratch(root / "data/cams/a.part-0d0d0d")
    (dead / "file").touch()
    old.rename(f"{old}-old")
    with replacing(root / "reports/models/a.json") as living:
        living.touch()
        removed = "data/cams/a.part-0d0d0d-old, data/raw.part-1a2b3c"
        assert mend(root) == [f"2 unfinished outputs of killed stages: removed {removed}"]
        assert not dead.exists() and living.exists()
    assert not list(root.rglob("*.part-*"))


def dvc_reads_or_writes(root: Path) -> AbstractContextManager[object]:
    """What DVC holds while it works; by its own code."""
    return Lock(str(root / ".dvc/tmp/lock"))


def dvc_edits_rwlock(root: Path) -> AbstractContextManager[object]:
    return Lock(str(root / ".dvc/tmp/rwlock.lock"))


def dvc_waits_for_a_stage(root: Path) -> AbstractContextManager[object]:
    """What DVC leaves standing while a stage runs."""
    return rwlock(str(root / ".dvc/tmp"), LocalFileSystem(), "dvc repro", ["params.yaml"], ["data/raw"], False)


@pytest.mark.parametrize("busy", [dvc_reads_or_writes, dvc_edits_rwlock, dvc_waits_for_a_stage])
def test_nothing_is_touched_under_a_running_dvc(root: Path, busy) -> None:
    (root / "dvc.lock").write_text("sch")
    left = leave_scratch(root / "data/raw.part-1a2b3c")
    with busy(root):
        (told,) = mend(root)
        assert told.startswith("nothing was changed: ") and told.endswith("; wait until it ends")
        assert (root / "dvc.lock").read_text() == "sch" and left.exists()
    assert len(mend(root)) == 2, "as soon as it has ended"
    assert (root / "dvc.lock").read_text() == WHOLE


def test_a_cut_rwlock_is_left_alone_as_long_as_a_process_that_it_names_runs(root: Path) -> None:
    file = root / ".dvc/tmp/rwlock"
    with dvc_waits_for_a_stage(root):
        whole = file.read_text()
        file.write_text(whole[: whole.index("}") + 1])
        assert f"DVC (process {os.getpid()}) is waiting" in mend(root)[0] and file.exists()
        file.write_text(whole)


def test_no_dvc_begins_while_locks_are_mended(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tried = []

    def put_back(path: Path, text: str) -> None:
        tried.append(path.name)
        with pytest.raises(LockError):
            Lock(str(root / ".dvc/tmp/lock"))._do_lock()

    monkeypatch.setattr("wheretolook.cli.mend_command.write_text", put_back)
    (root / "dvc.lock").write_text("sch")
    mend(root)
    assert tried == ["dvc.lock"]


@pytest.mark.parametrize("pid", [4194305, 10**30])
def test_what_a_killed_dvc_left_is_no_running_dvc(root: Path, pid: int) -> None:
    (root / "dvc.lock").write_text("sch")
    (root / ".dvc/tmp/lock").write_text(f" {pid}\n")
    (root / ".dvc/tmp/rwlock").write_text(f'{{"write": {{"data/raw": {{"pid": {pid}, "cmd": "dvc repro"}}}}}}')
    assert len(mend(root)) == 1
    assert (root / "dvc.lock").read_text() == WHOLE


def test_another_process_that_got_a_dead_dvcs_number_is_no_dvc(root: Path) -> None:
    file = root / ".dvc/tmp/rwlock"
    file.write_text(f'{{"write": {{"data/raw": {{"pid": {os.getpid()}, "cmd": "dvc repro"}}}}}}')
    assert "is waiting for a stage" in mend(root)[0]
    os.utime(file, (0, 0))
    assert mend(root) == []


def test_a_dead_dvc_is_dead_before_its_parent_waits_for_it(root: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "pass"]) as dead:
        os.waitid(os.P_PID, dead.pid, os.WEXITED | os.WNOWAIT)
        (root / ".dvc/tmp/rwlock").write_text(f'{{"read": {{"a": [{{"pid": {dead.pid}, "cmd": "dvc repro"}}]}}}}')
        assert mend(root) == []


def test_outside_of_a_project_no_lock_is_left(tmp_path: Path) -> None:
    assert mend(tmp_path) == []
    assert list(tmp_path.iterdir()) == []
