"""One kill at a random moment: which signal, to whom, and when."""

import random
import signal
import subprocess
import threading
import time
from dataclasses import dataclass

from tests.chaos.processes import send, stages_of
from tests.chaos.undisturbed import Undisturbed

SIGNALS = {"KILL": signal.SIGKILL, "TERM": signal.SIGTERM, "INT": signal.SIGINT}
WHOM = ("dvc", "stage", "both")
LATE = 1.15  # of a stage's own time: DVC caches, links and locks the outputs after it
BEFORE = 0.1  # of kills come before the first stage


@dataclass(frozen=True)
class Kill:
    """A kill as it's drawn.

    Attributes:
        signal: of SIGNALS.
        whom: of WHOM.
        share: of the stage's time, 0 to LATE, counted from when DVC says that it runs; negative: of dvc's own start.
    """

    signal: str
    whom: str
    share: float


def draw_kill(chance: random.Random) -> Kill:
    """Draw a kill."""
    share = -chance.random() if chance.random() < BEFORE else chance.uniform(0, LATE)
    return Kill(chance.choice(tuple(SIGNALS)), chance.choice(WHOM), share)


def carry_out(kill: Kill, dvc: subprocess.Popen[str], undisturbed: Undisturbed) -> str:
    """Wait for the moment, and kill.

    Returns:
        The stage that ran last before the kill; "dvc" where none had begun; "" where all was over before the moment.
    """
    watch = _Watch(dvc)
    if kill.share < 0:
        time.sleep(-kill.share * 1.5)
        where = watch.last or "dvc"
    elif watch.running.wait(120) and watch.last:
        where = watch.last
        time.sleep(kill.share * undisturbed.seconds.get(where, 1.0))
        where = watch.last
    else:
        return ""
    if dvc.poll() is not None:
        return ""
    stages = stages_of(dvc.pid)
    hit = {"dvc": [dvc.pid], "stage": stages or [dvc.pid], "both": [*stages, dvc.pid]}[kill.whom]
    met = [send(process, SIGNALS[kill.signal]) for process in hit]
    return where if any(met) else ""


class _Watch:
    """Reads what dvc says, or its pipe would fill; knows which stage it began last.

    Attributes:
        running: set when a stage has begun, or when there is no more to come.
        last: that stage; empty if none has.
    """

    def __init__(self, dvc: subprocess.Popen[str]) -> None:
        self.running, self.last = threading.Event(), ""
        threading.Thread(target=self._read, args=(dvc,), daemon=True).start()

    def _read(self, dvc: subprocess.Popen[str]) -> None:
        with dvc.stdout as lines:
            for line in lines:
                if line.startswith("Running stage"):
                    self.last = line.split("'")[1]
                    self.running.set()
        self.running.set()
