"""Ctrl-C once: end in order. Twice: stop at once."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Interruption:
    """Whether the block was asked to end, and by which signal.

    Attributes:
        signal: "SIGINT" or "SIGTERM"; empty as long as nobody asked.
    """

    def __init__(self) -> None:
        self.signal = ""
        handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        # Who started the process may have it ignore Ctrl-C, as nohup does.
        self._before = {
            number: handler for number, handler in handlers.items() if handler not in (signal.SIG_IGN, None)
        }

    def note(self, number: int, frame: FrameType | None) -> None:
        """Note the signal; the same one again does what it did before the block: it stops the process."""
        self.signal = signal.Signals(number).name
        signal.signal(number, self._before[number])

    def watch(self) -> None:
        """Note signals from now on."""
        for number in self._before:
            signal.signal(number, self.note)

    def unwatch(self) -> None:
        """Leave signals to those that had them before."""
        for number, handler in self._before.items():
            signal.signal(number, handler)


@contextmanager
def noting_interruption() -> Iterator[Interruption]:
    """Within the block, Ctrl-C and TERM are only noted the first time, so that the block can end in order."""
    interruption = Interruption()
    if threading.current_thread() is not threading.main_thread():
        # Signals go to the main thread; another one can neither see nor set them.
        yield interruption
        return
    interruption.watch()
    try:
        yield interruption
    finally:
        interruption.unwatch()
