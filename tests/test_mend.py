"""What a killed dvc leaves behind is mended; what is whole is left alone."""

import os
from pathlib import Path

import pytest

from wheretolook.mend import is_whole_lock, mend

WHOLE = """schema: '2.0'
stages:
  fetch:
    cmd: run
    deps:
    - path: stages/fetch.py
      md5: 0123
    outs:
    - path: data/raw
      md5: 4567.dir
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


def test_every_prefix_is_mended_or_whole(root: Path) -> None:
    for length in range(len(WHOLE)):
        (root / "dvc.lock").write_text(WHOLE[:length])
        mend(root)
        assert is_whole_lock(root / "dvc.lock")


def test_without_a_kept_copy_a_broken_lock_is_removed(root: Path) -> None:
    (root / ".dvc" / "tmp" / "dvc.lock.whole").unlink()
    (root / "dvc.lock").write_text("schema")
    assert "removed" in mend(root)[0]
    assert not (root / "dvc.lock").exists()


def test_a_cut_rwlock_is_removed(root: Path) -> None:
    (root / ".dvc" / "tmp" / "rwlock").write_text('{"data/raw": {"wri')
    assert len(mend(root)) == 1
    assert not (root / ".dvc" / "tmp" / "rwlock").exists()


def test_unfinished_outputs_of_dead_processes_are_removed(root: Path) -> None:
    dead, mine = root / "data" / "raw.part-4194305", root / "reports" / "models" / f"a.json.part-{os.getpid()}"
    dead.mkdir(parents=True)
    (dead / "file").touch()
    mine.parent.mkdir(parents=True)
    mine.touch()
    (root / "data" / "cams").mkdir()
    (root / "data" / "cams" / "a.part-4194305-old").mkdir()
    assert mend(root) == [
        "2 unfinished outputs of killed stages removed: data/cams/a.part-4194305-old, data/raw.part-4194305"
    ]
    assert not dead.exists() and mine.exists()
