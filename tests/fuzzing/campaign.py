"""Many tries of one target, with what escaped."""

import hashlib
import signal
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.fuzzing.targets import TARGETS, run

# Seconds after which a try counts as a hang.
LONGEST = 5.0


class Hang(BaseException):
    """A try that took too long. No `except Exception` on the way may swallow it."""


@dataclass
class Outcome:
    """What came of the tries.

    Attributes:
        tried: different inputs.
        ended: how often each ending came.
        slowest: seconds.
        escapes: of each input that ended in another way than well or with a refusal, the error.
    """

    tried: set[bytes] = field(default_factory=set)
    ended: Counter = field(default_factory=Counter)
    slowest: float = 0.0
    escapes: dict[bytes, str] = field(default_factory=dict)


def campaign(name: str, tries: int, start: int, keep: Path | None = None) -> Outcome:
    """Try a target with different inputs.

    Args:
        name: of the target.
        tries: inputs; fewer where the generator runs dry.
        start: seeds the generator.
        keep: a folder for the inputs that escaped.
    """
    target, outcome = TARGETS[name], Outcome()

    @seed(start)
    @settings(max_examples=tries, deadline=None, database=None, phases=[Phase.generate],
              suppress_health_check=list(HealthCheck))  # fmt: skip
    @given(target.inputs())
    def attempt(data: bytes) -> None:
        outcome.tried.add(hashlib.sha256(data).digest())
        began = time.monotonic()
        error = _escape(name, data, outcome)
        outcome.slowest = max(outcome.slowest, time.monotonic() - began)
        if error:
            outcome.escapes[data] = error
            if keep is not None:
                keep.mkdir(parents=True, exist_ok=True)
                (keep / hashlib.sha256(data).hexdigest()[:16]).write_bytes(data)

    attempt()
    return outcome


def _escape(name: str, data: bytes, outcome: Outcome) -> str:
    previous = signal.signal(signal.SIGALRM, _hang)
    signal.setitimer(signal.ITIMER_REAL, LONGEST)
    try:
        outcome.ended[run(TARGETS[name], data)] += 1
    except (Exception, Hang) as error:  # noqa: BLE001 -- what is looked for is any exception at all
        return f"{type(error).__name__}: {error}"
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
    return ""


def _hang(*_: object) -> None:
    raise Hang(f"more than {LONGEST} s")
