"""Many rounds in one copy of a project, and what they add up to."""

import random
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.chaos.crowd import crowd
from tests.chaos.processes import heed_interrupts
from tests.chaos.rounds import Round, play
from tests.chaos.undisturbed import Undisturbed

MOST = 4  # kills in a round


def kill_at_random(
    root: Path, undisturbed: Undisturbed, kills: int, seed: int, say: Callable[[str], None]
) -> list[Round]:
    """Rounds with `kills` kills or a few more, in `root`. After a bad one, the next begins from a fresh copy."""
    heed_interrupts()
    chance, rounds = random.Random(seed), []
    fresh(root, undisturbed)
    while sum(len(each.kills) for each in rounds) < kills:
        rounds.append(outcome := play(root, undisturbed, chance, MOST))
        _tell(outcome, len(rounds), say)
        if outcome.bad:
            fresh(root, undisturbed)
    return rounds


def crowd_at_random(
    root: Path, undisturbed: Undisturbed, times: int, seed: int, say: Callable[[str], None]
) -> list[tuple[Round, list[int]]]:
    """Two at once, so many times."""
    heed_interrupts()
    chance, rounds = random.Random(seed), []
    fresh(root, undisturbed)
    for number in range(times):
        rounds.append(crowd(root, undisturbed, chance))
        _tell(rounds[-1][0], number + 1, say, f"two at once, ended with {rounds[-1][1]}")
        if rounds[-1][0].bad:
            fresh(root, undisturbed)
    return rounds


def fresh(root: Path, undisturbed: Undisturbed) -> None:
    """A copy of the undisturbed run."""
    shutil.rmtree(root, ignore_errors=True)
    shutil.copytree(undisturbed.root, root, symlinks=True)


def summary(rounds: list[Round]) -> dict[str, Any]:
    """The figures of rounds with kills."""
    kills = [(kill, stage) for each in rounds for kill, stage in each.kills]
    return {
        "rounds": len(rounds),
        "kills": len(kills),
        "by_stage": dict(sorted(Counter(stage.split("@")[0] for _, stage in kills).items())),
        "by_signal": dict(sorted(Counter(kill.signal for kill, _ in kills).items())),
        "by_whom": dict(sorted(Counter(kill.whom for kill, _ in kills).items())),
        "dvc_lock_left_cut": sum(each.cut_locks for each in rounds),
        **losses(rounds),
    }


def losses(rounds: list[Round]) -> dict[str, int]:
    """What must be 0."""
    return {
        "outputs_that_differ": sum(len(each.differing) for each in rounds),
        "files_half_written": sum(len(each.half_written) for each in rounds),
        "manual_repairs": sum(len(each.repairs) for each in rounds),
        "orphans": sum(each.orphans for each in rounds),
        "hangs": sum(each.hangs for each in rounds),
    }


def _tell(outcome: Round, number: int, say: Callable[[str], None], what: str = "") -> None:
    kills = ", ".join(f"{kill.signal} to {kill.whom} in {stage} at {kill.share:.2f}" for kill, stage in outcome.kills)
    say(f"round {number}: {what or kills or 'no kill met it'}; {outcome.seconds:.0f} s")
    if outcome.bad:
        say(f"  LOST: {losses([outcome])} {outcome.half_written[:5]} {outcome.differing[:5]} {outcome.repairs}")
