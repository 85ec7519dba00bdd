"""A score that was ended goes on, with the figures of one that wasn't, and never from another's state."""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.analysis.untrained import make_untrained, probed
from wheretolook.analysis import pieces
from wheretolook.analysis.pieces import Pieces, kept_pieces
from wheretolook.data.refusal import Refusal

CPU = torch.device("cpu")
ASKED = {"images": 24, "draws": 3, "steps": 2}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_untrained(tmp_path_factory.mktemp("pieces"))


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
    os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize("at", [1, 3, 6])
def test_killed_score_goes_on_where_it_was_saved_and_ends_with_the_same_figures(
    root: Path,
    at: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    undisturbed = probed(root, **ASKED)
    monkeypatch.setattr(pieces, "SECONDS_BETWEEN", 0.0)
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
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    undisturbed = probed(root, **ASKED)
    with monkeypatch.context() as patch, pytest.raises(Refusal, match=r"SIGINT after 3 pieces.*goes on from there"):
        counting(patch, 2, press_ctrl_c)
        probed(root, **ASKED)
    after = counting(monkeypatch)
    assert probed(root, **ASKED) == undisturbed
    assert "faithfulness 0" not in after


def test_another_work_never_goes_on_from_this_ones_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "SECONDS_BETWEEN", 0.0)
    with pytest.raises(Killed), kept_pieces(tmp_path, "one", {"seed": 0}, CPU) as piece:
        assert piece("a", lambda: [1.5]) == [1.5]
        kill()
    with pytest.raises(Killed), kept_pieces(tmp_path, "one", {"seed": 1}, CPU) as piece:
        assert piece("a", lambda: [2.5]) == [2.5]
        kill()
    with kept_pieces(tmp_path, "one", {"seed": 0}, CPU) as piece:
        assert piece("a", kill) == [1.5]
    assert list(tmp_path.iterdir()) == []
