"""Nothing half-written under a final name, and nothing of a running process removed."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from wheretolook.data import atomic
from wheretolook.data.atomic import (
    move_folder,
    remove_unfinished,
    remove_unfinished_of,
    replacing,
    replacing_folder,
    write_json,
)


class Broken(Exception):
    """What goes wrong in the middle of a write."""


@pytest.fixture
def ended() -> int:
    """The id of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_a_file_appears_when_it_is_whole(tmp_path: Path) -> None:
    with replacing(tmp_path / "new/a.txt") as scratch:
        scratch.write_text("whole")
        assert not (tmp_path / "new/a.txt").exists()
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["a.txt"]


def test_an_error_leaves_the_old_file_and_no_scratch(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("old")
    with pytest.raises(Broken), replacing(tmp_path / "a.txt") as scratch:
        scratch.write_text("half")
        raise Broken
    assert (tmp_path / "a.txt").read_text() == "old" and len(list(tmp_path.iterdir())) == 1


def test_a_link_into_a_cache_is_replaced_and_the_cache_is_not_written(tmp_path: Path) -> None:
    (tmp_path / "cached").write_text("old")
    (tmp_path / "a.txt").symlink_to(tmp_path / "cached")
    with replacing(tmp_path / "a.txt") as scratch:
        scratch.write_text("new")
    assert (tmp_path / "cached").read_text() == "old" and (tmp_path / "a.txt").read_text() == "new"


def test_a_folder_is_replaced_as_a_whole_or_not_at_all(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    for content in ("first", "second"):
        with replacing_folder(folder) as scratch:
            (scratch / content).write_text(content)
    assert [path.name for path in folder.iterdir()] == ["second"]
    with pytest.raises(Broken), replacing_folder(folder) as scratch:
        (scratch / "third").write_text("half")
        raise Broken
    assert [path.name for path in folder.iterdir()] == ["second"] and len(list(tmp_path.iterdir())) == 1


def test_a_folder_comes_from_another_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, rename = tmp_path / "source", Path.rename

    def over_a_border(path: Path, target: Path) -> Path:
        if path == source:
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        return rename(path, target)

    source.mkdir()
    (source / "a").write_text("a")
    monkeypatch.setattr(Path, "rename", over_a_border)
    move_folder(source, tmp_path / "target")
    assert (tmp_path / "target/a").read_text() == "a" and not source.exists()


def test_equal_values_give_equal_bytes_and_nan_none(tmp_path: Path) -> None:
    for name, value in (("a", {"x": 1, "y": "ö"}), ("b", {"y": "ö", "x": 1})):
        write_json(tmp_path / name, value)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "c", float("nan"))
    assert not (tmp_path / "c").exists()


def test_what_a_killed_process_left_goes_and_what_a_running_one_writes_stays(tmp_path: Path, ended: int) -> None:
    parent = os.getppid()
    for name in (f"a.part-{ended}", f"a.part-{parent}", "a.part-mine", f"b.part-{ended}"):
        (tmp_path / name).touch()
    assert remove_unfinished(tmp_path, "a") == [tmp_path / f"a.part-{ended}"]
    assert {path.name for path in tmp_path.iterdir()} == {f"a.part-{parent}", "a.part-mine", f"b.part-{ended}"}
    remove_unfinished_of(tmp_path, {"c"})
    assert (tmp_path / f"b.part-{ended}").exists()
    remove_unfinished_of(tmp_path, {"b", "c"})
    assert not (tmp_path / f"b.part-{ended}").exists()


def test_a_later_process_of_the_same_number_does_not_keep_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    left = tmp_path / f"a.part-{os.getpid()}"
    left.touch()
    monkeypatch.setattr(atomic, "_began_after", lambda number, scratch: (number, scratch) == (os.getpid(), left))
    assert remove_unfinished(tmp_path) == [left]
