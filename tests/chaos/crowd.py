"""Two `dvc repro` at once in one project."""

import random
import subprocess
import time
from pathlib import Path

from tests.chaos.processes import start_dvc, wait_until_gone
from tests.chaos.rounds import GRACE, HANG, Round, chain, finish, make_stale
from tests.chaos.undisturbed import Undisturbed
from tests.chaos.wholeness import half_written


def crowd(root: Path, undisturbed: Undisturbed, chance: random.Random) -> tuple[Round, list[int]]:
    """Start two, the second up to three seconds after the first; then run to the end.

    Returns:
        What came of it, and how each of the two ended.
    """
    began, outcome, ended = time.monotonic(), Round(), []
    make_stale(root, chain(undisturbed, chance))
    first = start_dvc(root)
    time.sleep(chance.uniform(0, 3))
    for dvc in (first, start_dvc(root)):
        try:
            dvc.communicate(timeout=HANG)
        except subprocess.TimeoutExpired:
            outcome.hangs += 1
            dvc.kill()
            dvc.communicate()
        ended.append(dvc.returncode)
    outcome.orphans += len(wait_until_gone(root, GRACE))
    outcome.half_written += half_written(root, undisturbed)
    finish(root, undisturbed, outcome)
    outcome.seconds = time.monotonic() - began
    return outcome, ended
