"""Which blocks of an export are done, so that a killed one goes on, and ends with the bytes of one that wasn't."""

import json
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from wheretolook.data import atomic
from wheretolook.execution.ranks import Ranks
from wheretolook.execution.state_key import state_key, states_of

# No more than this is lost by a kill, and a block.
SECONDS_BETWEEN = 20.0


class Journal:
    """The blocks that one process has finished, on disk every few seconds; each process keeps its own.

    Args:
        folder: of the state; the arrays stand in `folder/maps`.
        rank: of this process.
    """

    def __init__(self, folder: Path, rank: int):
        self._file = folder / f"done.rank{rank}.json"
        self._done: set[int] = set(json.loads(self._file.read_text("utf-8"))) if self._file.exists() else set()
        self._saved_at = time.monotonic()

    def __len__(self) -> int:
        return len(self._done)

    def has(self, rows: slice) -> bool:
        """Whether the block is done."""
        return rows.start in self._done

    def note(self, rows: slice, flush: Callable[[], None]) -> None:
        """Note a finished block; from time to time, save."""
        self._done.add(rows.start)
        if time.monotonic() - self._saved_at > SECONDS_BETWEEN:
            self.save(flush)

    def save(self, flush: Callable[[], None]) -> None:
        """Have the arrays flushed, then write down what is done: the other way round, a crash could make it a lie."""
        flush()
        atomic.write_json(self._file, sorted(self._done))
        self._saved_at = time.monotonic()


def state_folder(cache: Path, name: str, depends_on: dict[str, Any], ranks: Ranks) -> Path:
    """Where the state of one export is kept: named by a hash of all that its bytes depend on.

    Args:
        cache: the folder for states; git ignores it.
        name: the model's name.
        depends_on: model, data and parameters; `state_key` adds code, versions, device, threads and processes.
        ranks: the processes that share the work.
    """
    return cache / name / state_key(depends_on, ranks)


def prepare_state(folder: Path, create: Callable[[Path], None]) -> None:
    """Have `folder/maps` hold the arrays: those of a killed export, or new ones; other states of the name go."""
    for other in states_of(folder.parent.parent, folder.parent.name):
        if other != folder:
            _discard(other)
    if not (folder / "maps").is_dir() or not _is_begun(folder):
        _discard(folder)
        with atomic.replacing_folder(folder / "maps", recorded=False) as scratch:
            create(scratch)


def discard_unless_begun(folder: Path) -> None:
    """Remove a state in which nothing is noted: it would only take space."""
    if not _is_begun(folder):
        _discard(folder)


def _is_begun(folder: Path) -> bool:
    return any(folder.glob("done.*.json"))


def _discard(folder: Path) -> None:
    """Remove a state; renamed first, so that a kill never leaves the half of one that looks whole."""
    gone = folder.with_name(f"{folder.name}.gone")
    shutil.rmtree(gone, ignore_errors=True)
    with suppress(OSError):
        folder.replace(gone)
    for left in (gone, folder):
        shutil.rmtree(left, ignore_errors=True)
