"""No folder is replaced that holds what this program did not write."""

from pathlib import Path

import pytest

from wheretolook.base.errors import InputError
from wheretolook.base.files import check_replaceable, forget_folder, move_folder, replacing_folder


def write(folder: Path, *names: str) -> None:
    with replacing_folder(folder) as scratch:
        for name in names:
            (scratch / name).parent.mkdir(parents=True, exist_ok=True)
            (scratch / name).write_text(name)


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


@pytest.fixture
def own(tmp_path: Path) -> Path:
    write(tmp_path / "own", "a", "b/c")
    return tmp_path / "own"


def refused(folder: Path) -> InputError:
    with pytest.raises(InputError) as caught:
        write(folder, "new")
    source = folder.with_name("source")
    source.mkdir()
    with pytest.raises(InputError):
        move_folder(source, folder)
    return caught.value


@pytest.mark.parametrize("name", ["thesis.txt", "b/thesis.txt", ".thesis", "b/.thesis"])
def test_a_file_that_was_put_into_it_keeps_a_written_folder(own: Path, name: str) -> None:
    (own / name).write_text("mine")
    assert refused(own).subject == str(own)
    assert (own / name).read_text() == "mine" and (own / "a").exists()


def test_a_changed_file_keeps_a_written_folder(own: Path) -> None:
    (own / "a").write_text("my own words")
    refused(own)
    assert (own / "a").read_text() == "my own words"


@pytest.mark.parametrize("name", ["a", "images/cat/1.png", ".git/config"])
def test_a_foreign_folder_is_kept(tmp_path: Path, name: str) -> None:
    (tmp_path / "mine" / name).parent.mkdir(parents=True)
    (tmp_path / "mine" / name).write_text("mine")
    assert name in refused(tmp_path / "mine").found
    assert (tmp_path / "mine" / name).read_text() == "mine"


def test_a_foreign_file_and_the_target_of_a_link_are_kept(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "far").mkdir()
    (tmp_path / "far/a").write_text("mine")
    (tmp_path / "link").symlink_to("far")
    for name in ("file", "link"):
        with pytest.raises(InputError):
            write(tmp_path / name, "new")
    assert (tmp_path / "file").read_text() == (tmp_path / "link/a").read_text() == "mine"


def test_a_folder_that_becomes_foreign_while_a_stage_runs_is_kept(tmp_path: Path) -> None:
    with pytest.raises(InputError), replacing_folder(tmp_path / "a"):
        (tmp_path / "a").mkdir()
        (tmp_path / "a/thesis").write_text("mine")
    assert (tmp_path / "a/thesis").read_text() == "mine"


def test_written_folders_and_empty_ones_are_replaced_wherever_they_lie(own: Path, tmp_path: Path) -> None:
    (own / ".DS_Store").touch()
    write(own, "second")
    assert names(own) == ["second"]
    (tmp_path / "empty").mkdir()
    write(tmp_path / "empty", "a")
    tmp_path.joinpath("deeper").mkdir()
    for name in ("own", ".own.written"):  # as a whole project is moved
        (tmp_path / name).rename(tmp_path / "deeper" / name)
    write(tmp_path / "deeper/own", "third")
    assert names(tmp_path / "deeper/own") == ["third"]


def test_a_folder_as_an_earlier_run_wrote_it_is_replaced(own: Path) -> None:
    write(own, "second")
    (own / "second").unlink()
    for name in ("a", "b/c"):  # back from DVC's cache
        (own / name).parent.mkdir(exist_ok=True)
        (own / name).write_text(name)
    write(own, "third")
    assert names(own) == ["third"]


def test_a_forgotten_folder_is_foreign(own: Path) -> None:
    forget_folder(own)
    assert names(own.parent) == ["own"]
    refused(own)


LOCKED = """\
schema: '2.0'
stages:
  check:
    cmd: check
    outs:
    - {path: out, hash: md5, md5: 0cc175b9c0f1b6a831c399e269772661.dir, size: 3, nfiles: 2}
"""


@pytest.mark.parametrize(
    ("lock", "added", "replaceable"),
    [
        (LOCKED, {}, True),
        (LOCKED, {"thesis.tex": "12345"}, False),
        (LOCKED, {"a.json": "12"}, False),  # another size
        (LOCKED.replace("path: out", "path: other"), {}, False),
        ("stages: [", {}, False),
        ("", {}, False),
    ],
)
def test_a_fresh_clone_may_replace_the_outputs_that_dvc_lock_records(
    lock: str, added: dict[str, str], replaceable: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("dvc.lock").write_text(lock)
    Path("out").mkdir()
    for name, content in ({"a.json": "1", "b.json": "22"} | added).items():
        Path("out", name).write_text(content)
    if replaceable:
        check_replaceable(Path("out"))
    else:
        with pytest.raises(InputError) as raised:
            check_replaceable(Path("out"))
        assert raised.value.subject == "out"
