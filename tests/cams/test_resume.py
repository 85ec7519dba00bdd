"""A killed export resumes, and ends with the same bytes as one that was never stopped."""

import signal
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.cams.made import write_model, write_prepared
from wheretolook.base import files as atomic
from wheretolook.base.errors import InputError
from wheretolook.cams import stream
from wheretolook.cams.export import MapOptions, export_maps
from wheretolook.networks.runtime import resumable as journal
from wheretolook.networks.runtime import resumable as state_key
from wheretolook.networks.runtime.processes import Ranks

ALONE = Ranks(0, 1, 0, torch.device("cpu"))
OPTIONS = MapOptions(("cam", "gradcam"), None, "float32", 2, random_draws=2)  # five blocks of ten images


class Killed(BaseException):
    """What ends an export in these tests."""


@pytest.fixture
def export(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Exports of one model into a named folder, with a journal after each block; gives the bytes of its files."""
    monkeypatch.setattr(journal, "SECONDS_BETWEEN", -1.0)
    prepared = write_prepared(tmp_path / "prepared")
    write_model(tmp_path / "one.safetensors", loss="every")

    def export(folder: str, options: MapOptions = OPTIONS, sha256: str = prepared.sha256) -> dict[str, bytes]:
        data = replace(prepared, sha256=sha256)
        export_maps(tmp_path / "one.safetensors", data, tmp_path / folder, options, ALONE, tmp_path / "cache")
        return {path.name: path.read_bytes() for path in (tmp_path / folder).iterdir()}

    return export


@pytest.fixture
def stored(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """First row of each batch that is written; `stored.limit` of them, then the kill."""
    store = stream.store

    class Stored(list):
        limit = 1000

    seen = Stored()

    def storing(arrays, work, rows, batch):
        if len(seen) >= seen.limit:
            raise Killed
        seen.append(rows.start)
        store(arrays, work, rows, batch)

    monkeypatch.setattr(stream, "store", storing)
    return seen


def kill_after(stored: list[int], count: int, export) -> None:
    stored.limit = count
    with pytest.raises(Killed):
        export("killed")
    stored.clear()
    stored.limit = 1000


@pytest.mark.parametrize("count", [1, 3, 4])
def test_a_killed_export_goes_on_and_ends_with_the_same_bytes(export, stored: list[int], tmp_path: Path, count: int):
    undisturbed = export("undisturbed")
    stored.clear()
    kill_after(stored, count, export)
    assert not (tmp_path / "killed").exists()
    assert export("killed") == undisturbed
    assert stored == [0, 2, 4, 6, 8][count:]
    assert not (tmp_path / "cache/one").exists(), "the state goes on success"


@pytest.mark.parametrize("changed", ["options", "data", "code", "threads"])
def test_a_change_never_goes_on_from_the_old_state(export, stored, monkeypatch, changed: str):
    kill_after(stored, 3, export)
    more = {"options": replace(OPTIONS, batch_size=5)} if changed == "options" else {}
    more |= {"sha256": "1" * 64} if changed == "data" else {}
    if changed == "code":
        original = state_key.sha256_of
        monkeypatch.setattr(state_key, "sha256_of", lambda p: "2" * 64 if p.name == "files.py" else original(p))
    if changed == "threads":
        monkeypatch.setattr(torch, "get_num_threads", lambda: 77)
    export("killed", **more)
    assert stored[0] == 0


def test_killed_between_the_move_and_the_clearing_it_begins_anew(export, stored, monkeypatch, tmp_path: Path):
    """The journal is there, the arrays are gone: what the journal says of them must not be believed."""
    undisturbed = export("undisturbed")
    move = atomic.move_folder

    def moved_and_killed(source: Path, path: Path) -> None:
        move(source, path)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr("wheretolook.networks.runtime.resumable.move_folder", moved_and_killed)
        with pytest.raises(Killed):
            export("killed")
    stored.clear()
    assert export("killed") == undisturbed
    assert stored == [0, 2, 4, 6, 8]


def test_without_a_journal_nothing_is_kept(export, stored, monkeypatch, tmp_path: Path):
    monkeypatch.setattr(journal, "SECONDS_BETWEEN", 1000.0)
    kill_after(stored, 3, export)
    assert list((tmp_path / "cache").rglob("*.npy")) == []


@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_once_it_finishes_the_batch_saves_and_says_how_to_go_on(export, stored, monkeypatch, by):
    undisturbed, store = export("undisturbed"), stream.store
    stored.clear()
    monkeypatch.setattr(journal, "SECONDS_BETWEEN", 1000.0)

    def interrupted(arrays, work, rows, batch):
        if rows.start == 4:
            signal.raise_signal(by)
        store(arrays, work, rows, batch)

    with monkeypatch.context() as patch, pytest.raises(InputError) as error:
        patch.setattr(stream, "store", interrupted)
        export("killed")
    assert error.value.subject == f"export: {by.name} after 3 of 5 batches"
    assert "resumes" in error.value.hint
    assert export("killed") == undisturbed
    assert stored == [0, 2, 4, 6, 8], "none was done twice"
