"""Nothing half-written under a final name, and nothing of a running process removed."""

import errno
import subprocess
import sys
from pathlib import Path

import pytest

from wheretolook.base.files import (
    move_folder,
    remove_unfinished,
    remove_unfinished_of,
    replacing,
    replacing_folder,
    write_json,
)


class Broken(Exception):
    """What goes wrong in the middle of a write."""


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
    assert [path.name for path in folder.iterdir()] == ["second"]
    assert {path.name for path in tmp_path.iterdir()} == {"folder", ".folder.written"}


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


def test_what_a_killed_process_left_goes_and_what_a_running_one_writes_stays(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from wheretolook.base.files import replacing_folder\n"
        "with replacing_folder(Path(sys.argv[1])) as scratch: print(scratch.name, flush=True); time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "a")], stdout=subprocess.PIPE, text=True
    ) as other:
        scratch = tmp_path / other.stdout.readline().strip()
        try:
            assert remove_unfinished(tmp_path) == [] and scratch.is_dir(), "another process, of whatever number, writes"
        finally:
            other.kill()
    assert remove_unfinished(tmp_path, "b") == [] and scratch.is_dir(), "another name"
    assert remove_unfinished(tmp_path, "a") == [scratch] and list(tmp_path.iterdir()) == []


def test_this_process_keeps_its_own_scratch_too(tmp_path: Path) -> None:
    with replacing(tmp_path / "a") as scratch:
        scratch.touch()
        assert remove_unfinished(tmp_path) == [] and scratch.exists()
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_what_has_no_lock_file_is_somebody_elses_and_stays(tmp_path: Path) -> None:
    (tmp_path / "film.part-1").touch()
    assert remove_unfinished(tmp_path) == [] and (tmp_path / "film.part-1").exists()


def test_only_the_named_scratch_is_removed(tmp_path: Path) -> None:
    for name in ("b.part-0a0a0a", "b.part-0a0a0a.lock"):
        (tmp_path / name).touch()
    remove_unfinished_of(tmp_path, {"c"})
    assert (tmp_path / "b.part-0a0a0a").exists()
    remove_unfinished_of(tmp_path, {"b", "c"})
    assert list(tmp_path.iterdir()) == []
