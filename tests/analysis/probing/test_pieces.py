"""A score that was ended goes on, with the figures of one that wasn't, and never from another's state."""

import json
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.analysis.untrained import make_untrained, probed
from wheretolook.base.errors import InputError
from wheretolook.base.files import sha256_of, write_json
from wheretolook.networks.runtime import resumable
from wheretolook.networks.runtime.resumable import Pieces, kept_pieces

CODE = ("base",)
CPU = torch.device("cpu")
ASKED = {"images": 24, "draws": 3, "steps": 2}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_untrained(tmp_path_factory.mktemp("pieces"))


@pytest.fixture(scope="module")
def undisturbed(root: Path) -> dict:
    """What a run without an interruption finds."""
    return probed(root, **ASKED)


class Killed(BaseException):
    """The process ends here, and saves nothing."""


def counting(monkeypatch: pytest.MonkeyPatch, at: int | None = None, what: Callable[[], None] = lambda: None) -> list:
    """Names of the pieces that are made from now on; before piece number `at`, something happens."""
    made: list[str] = []
    original = Pieces.__call__

    def call(self: Pieces, name: str, make: Callable[[], Any]) -> Any:
        def noted() -> Any:
            if len(made) == at:
                what()
            made.append(name)
            return make()

        return original(self, name, noted)

    monkeypatch.setattr(Pieces, "__call__", call)
    return made


def kill() -> None:
    raise Killed


def press_ctrl_c() -> None:
    signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize("at", [1, 3, 6])
def test_killed_score_goes_on_where_it_was_saved_and_ends_with_the_same_figures(
    root: Path,
    at: int,
    undisturbed: dict,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(resumable, "SECONDS_BETWEEN", 0.0)
    with monkeypatch.context() as patch, pytest.raises(Killed):
        before = counting(patch, at, kill)
        probed(root, **ASKED)
    after = counting(monkeypatch)
    assert probed(root, **ASKED) == undisturbed
    assert len(before) == at
    assert not set(before) & set(after)
    assert not (root / "cache/last-0").exists()


def test_ctrl_c_finishes_the_piece_saves_and_says_how_to_go_on(
    root: Path,
    undisturbed: dict,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with monkeypatch.context() as patch, pytest.raises(InputError, match=r"SIGINT after 3 results.*to resume"):
        counting(patch, 2, press_ctrl_c)
        probed(root, **ASKED)
    after = counting(monkeypatch)
    assert probed(root, **ASKED) == undisturbed
    assert "faithfulness 0" not in after


def test_other_masks_never_go_on_from_the_state_of_these(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Evidence is a kind of removal, though neither a training nor maps depend on masks."""
    copied = shutil.copytree(root, tmp_path / "copied")
    monkeypatch.setattr(resumable, "SECONDS_BETWEEN", 0.0)
    with monkeypatch.context() as patch, pytest.raises(Killed):
        counting(patch, 2, kill)
        probed(copied, **ASKED)
    folder = copied / "data/prepared"
    np.save(folder / "masks.npy", np.load(folder / "masks.npy")[:, ::-1])
    audit = json.loads((folder / "audit.json").read_text(encoding="utf-8"))
    audit["sha256"]["masks.npy"] = sha256_of(folder / "masks.npy")
    write_json(folder / "audit.json", audit)
    after = counting(monkeypatch)
    probed(copied, **ASKED)
    assert "faithfulness 0" in after


def test_a_change_of_the_code_that_reads_the_data_begins_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resumable, "SECONDS_BETWEEN", 0.0)
    with pytest.raises(Killed), kept_pieces(tmp_path, "one", {}, CPU, CODE) as piece:
        assert piece("a", lambda: [1.5]) == [1.5]
        kill()
    original = resumable.sha256_of
    monkeypatch.setattr(resumable, "sha256_of", lambda p: "2" * 64 if p.name == "files.py" else original(p))
    with kept_pieces(tmp_path, "one", {}, CPU, CODE) as piece:
        assert piece("a", lambda: [2.5]) == [2.5]


def test_another_work_never_goes_on_from_this_ones_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resumable, "SECONDS_BETWEEN", 0.0)
    with pytest.raises(Killed), kept_pieces(tmp_path, "one", {"seed": 0}, CPU, CODE) as piece:
        assert piece("a", lambda: [1.5]) == [1.5]
        kill()
    with pytest.raises(Killed), kept_pieces(tmp_path, "one", {"seed": 1}, CPU, CODE) as piece:
        assert piece("a", lambda: [2.5]) == [2.5]
        kill()
    with kept_pieces(tmp_path, "one", {"seed": 0}, CPU, CODE) as piece:
        assert piece("a", kill) == [1.5]
    assert list(tmp_path.iterdir()) == []
