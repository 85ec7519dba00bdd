"""One round: a stage has to run again, is killed now and then, and runs to the end."""

import random
import shutil
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

from tests.chaos.kills import Kill, carry_out, draw_kill
from tests.chaos.processes import start_dvc, wait_until_gone
from tests.chaos.undisturbed import Undisturbed, mend_and_repro
from tests.chaos.wholeness import differing, half_written
from wheretolook.cli.mend_command import is_whole_lock, mend

GRACE = 15.0  # seconds for a stage to end after its dvc: it finishes its step and saves
HANG = 600.0  # seconds after which a dvc that was told to end counts as hanging


@dataclass
class Round:
    """What came of a round.

    Attributes:
        kills: those that met a running dvc, each with the stage that ran.
        half_written, orphans, hangs, cut_locks: found right after the kills. A dvc.lock that DVC left cut is no fault
            of ours, and counted.
        differing: outputs that differ after the run to the end.
        repairs: what else than `make mend` and `dvc repro` it would have taken; the words of dvc.
        seconds: of the whole round.
    """

    kills: list[tuple[Kill, str]] = field(default_factory=list)
    half_written: list[str] = field(default_factory=list)
    orphans: int = 0
    hangs: int = 0
    cut_locks: int = 0
    differing: list[str] = field(default_factory=list)
    repairs: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def bad(self) -> bool:
        """Whether anything was lost."""
        return bool(self.half_written or self.orphans or self.hangs or self.differing or self.repairs)


def make_stale(root: Path, stages: list[str]) -> None:
    """Have stages run again, to the same end: their locked commands are others, and no run of theirs is remembered."""
    lock = root / "dvc.lock"
    text = lock.read_text(encoding="utf-8")
    for stage in stages:
        before = f"\n  {stage}:\n    cmd: "
        assert before in text, f"{stage} is not in dvc.lock"
        text = text.replace(before, f"{before}once ")
    lock.write_text(text, encoding="utf-8")
    shutil.rmtree(root / ".dvc/cache/runs", ignore_errors=True)


def chain(undisturbed: Undisturbed, chance: random.Random) -> list[str]:
    """A stage at random, sometimes with one or two that follow."""
    names = list(undisturbed.seconds)
    first = chance.randrange(len(names))
    return names[first : first + chance.choice((1, 1, 2, 3))]


def play(root: Path, undisturbed: Undisturbed, chance: random.Random, most: int) -> Round:
    """Play a round in `root`, where all is as the undisturbed run left it; at most `most` kills."""
    began, outcome = time.monotonic(), Round()
    make_stale(root, chain(undisturbed, chance))
    for _ in range(chance.randint(1, most)):
        mend(root)
        kill, dvc = draw_kill(chance), start_dvc(root)
        stage = carry_out(kill, dvc, undisturbed)
        if stage:
            outcome.kills.append((kill, stage))
        _look(root, undisturbed, dvc, outcome)
        if not stage:
            break
    finish(root, undisturbed, outcome)
    outcome.seconds = time.monotonic() - began
    return outcome


def _look(root: Path, undisturbed: Undisturbed, dvc: subprocess.Popen[str], outcome: Round) -> None:
    """What is left right after a kill."""
    try:
        dvc.wait(HANG)
    except subprocess.TimeoutExpired:
        outcome.hangs += 1
        dvc.kill()
        dvc.wait()
    outcome.orphans += len(wait_until_gone(root, GRACE))
    outcome.half_written += half_written(root, undisturbed)
    outcome.cut_locks += not is_whole_lock(root / "dvc.lock") if (root / "dvc.lock").exists() else 1


def finish(root: Path, undisturbed: Undisturbed, outcome: Round) -> None:
    """Do what a person does, and compare."""
    try:
        done = mend_and_repro(root)
    except subprocess.TimeoutExpired:
        outcome.hangs += 1
        wait_until_gone(root, 0)
        return
    if done.returncode:
        outcome.repairs.append((done.stdout + done.stderr)[-2000:])
    outcome.differing = differing(root, undisturbed)
