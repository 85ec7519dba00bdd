"""The short form of `make chaos`: a few kills of the real pipeline, and two at once; nothing is lost.

One model and three kills or a few more; the long form has two models and 100 kills and more.
"""

from pathlib import Path

import pytest

from tests.chaos.campaign import crowd_at_random, kill_at_random, losses
from tests.chaos.undisturbed import Undisturbed, run_undisturbed

KILLS, SEED = 3, 7


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    return run_undisturbed(tmp_path_factory.mktemp("chaos") / "undisturbed", ("every-0",))


def test_killed_at_random_and_run_again_it_ends_with_the_same_bytes(undisturbed: Undisturbed, tmp_path: Path):
    said: list[str] = []
    rounds = kill_at_random(tmp_path / "killed", undisturbed, KILLS, SEED, said.append)
    assert sum(len(each.kills) for each in rounds) >= KILLS
    assert set(losses(rounds).values()) == {0}, "\n".join(said)


def test_two_at_once_corrupt_nothing_and_do_not_hang(undisturbed: Undisturbed, tmp_path: Path):
    said: list[str] = []
    rounds = crowd_at_random(tmp_path / "crowded", undisturbed, 1, SEED, said.append)
    assert set(losses([each for each, _ in rounds]).values()) == {0}, "\n".join(said)
