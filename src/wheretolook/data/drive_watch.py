"""How long gdown may be silent, and how long it waits between its own retries."""

import threading

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
        self._timer: threading.Timer | None = None

    def restart(self) -> None:
        """A block came: count the seconds anew."""
        self.stop()
        self._timer = threading.Timer(self.seconds, self.set)
        self._timer.daemon = True
        self._timer.start()

    def stop(self) -> None:
        """Count no longer."""
        if self._timer:
            self._timer.cancel()

    def wait(self, timeout: float | None = None) -> bool:
        """Pause before a retry; `timeout`, which gdown draws at random, is not what decides."""
        self.stop()
        pause = min(self._pause * 2**self.retried, LONGEST_PAUSE)
        self.retried += 1
        cancelled = super().wait(pause)
        self.restart()
        return cancelled

    def __enter__(self) -> "Watch":
        self.restart()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
