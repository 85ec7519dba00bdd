"""How long gdown may be silent, and how long it waits between its own retries."""

import threading
import time

from wheretolook.data.attempts import LONGEST_PAUSE, Patience


class Watch(threading.Event):
    """What gdown takes as its way to be cancelled: an event, set here when no block came for some seconds.

    gdown's own time-out is of a single read, which a server that drips never exceeds. Between its retries gdown waits
    on this event; so it is known how often it retried, and the pauses are those of every other download.

    Attributes:
        seconds: without a block, after which the download is cancelled; several answers may have to come before.
        retried: how often gdown tried again.
    """

    def __init__(self, patience: Patience) -> None:
        super().__init__()
        self.seconds = 2 * patience.timeout
        self.retried = 0
        self._pause = patience.pause
        self._counting = threading.Condition()
        self._deadline: float | None = None
        self._ended = False
        # One thread for the whole download; a block only moves the deadline.
        self._thread = threading.Thread(target=self._count, daemon=True)

    def restart(self) -> None:
        """A block came: count the seconds from now on."""
        self._move(time.monotonic() + self.seconds)

    def stop(self) -> None:
        """Count no longer."""
        self._move(None)

    def wait(self, timeout: float | None = None) -> bool:
        """Pause before a retry; `timeout`, which gdown draws at random, is not what decides."""
        self.stop()
        pause = min(self._pause * 2**self.retried, LONGEST_PAUSE)
        self.retried += 1
        cancelled = super().wait(pause)
        self.restart()
        return cancelled

    def _move(self, deadline: float | None) -> None:
        with self._counting:
            # The thread wakes by itself at the earlier deadline, and then sees the later one.
            wake = self._deadline is None or deadline is None
            self._deadline = deadline
            if wake:
                self._counting.notify()

    def _count(self) -> None:
        with self._counting:
            while not self._ended:
                left = None if self._deadline is None else self._deadline - time.monotonic()
                if left is not None and left <= 0:
                    self.set()
                    return
                self._counting.wait(left)

    def __enter__(self) -> "Watch":
        self.restart()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._counting:
            self._ended = True
            self._counting.notify()
        self._thread.join()
