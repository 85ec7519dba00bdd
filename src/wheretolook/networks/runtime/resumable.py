"""Resumable work: states of unfinished trainings, exports and scores, each under a key of all that they depend on."""

import hashlib
import json
import platform
import re
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch

from wheretolook.base import files as atomic
from wheretolook.base.errors import InputError
from wheretolook.base.files import check_replaceable, move_folder, sha256_of, write_text
from wheretolook.networks.runtime.device import describe_device
from wheretolook.networks.runtime.processes import Interruption, Ranks, noting_interruption

PACKAGE = Path(__file__).parents[2]
_STATE = re.compile(r"[0-9a-f]{32}(\..*)?")  # a key, with the suffix of a file or of a folder being removed


def state_key(depends_on: Mapping[str, Any], ranks: Ranks, code: Sequence[str]) -> str:
    """A hash of everything that the results of some work depend on: 32 hexadecimal digits.

    Args:
        depends_on: parameters and inputs, as JSON values. Versions, device, threads and the number of processes are
            added.
        ranks: the processes that share the work.
        code: folders and files of the package that the work imports, directly or not: those that dvc.yaml lists for
            its stage. An edit elsewhere does not discard unfinished work.
    """
    whole = dict(depends_on) | {
        "code": {file.relative_to(PACKAGE).as_posix(): sha256_of(file) for file in code_files(code)},
        "versions": [platform.python_version(), torch.__version__, np.__version__],
        "device": describe_device(ranks.device),
        "threads": torch.get_num_threads(),
        "processes": ranks.count,
    }
    return hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()[:32]


def code_files(code: Sequence[str]) -> list[Path]:
    """The Python files of some folders and files of the package, sorted.

    Args:
        code: paths below the package, such as "networks" and "params/train_options.py".
    """
    paths = [PACKAGE / name for name in code]
    return sorted(file for path in paths for file in ([path] if path.suffix == ".py" else path.rglob("*.py")))


def states_of(cache: Path, name: str) -> list[Path]:
    """Files and folders in a model's cache that are named by a key; others are not states.

    Args:
        cache: the folder of states.
        name: of the model.
    """
    return [path for path in sorted((cache / name).glob("*")) if _STATE.fullmatch(path.name)]


def remove_states(cache: Path, name: str) -> None:
    """Remove all states of a model, and its folder in the cache if nothing else is in it.

    Args:
        cache: the folder of states.
        name: of the model.
    """
    for state in states_of(cache, name):
        if state.is_dir() and not state.is_symlink():
            shutil.rmtree(state, ignore_errors=True)
        else:
            state.unlink(missing_ok=True)
    with suppress(OSError):
        (cache / name).rmdir()


# Seconds between saves: a killed process loses at most this much work, and one block or piece.
SECONDS_BETWEEN = 20.0


class Journal:
    """The finished blocks of one process, saved periodically.

    Args:
        folder: of the state, with the arrays in `folder/maps`.
        rank: of this process; each has its own journal.
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
        """Add a finished block, and save if the last save is long ago."""
        self._done.add(rows.start)
        if time.monotonic() - self._saved_at > SECONDS_BETWEEN:
            self.save(flush)

    def save(self, flush: Callable[[], None]) -> None:
        """Flush the arrays, then save the journal: in the other order, a crash could leave unwritten blocks in it."""
        flush()
        atomic.write_json(self._file, sorted(self._done))
        self._saved_at = time.monotonic()


def state_folder(cache: Path, name: str, depends_on: dict[str, Any], ranks: Ranks, code: Sequence[str]) -> Path:
    """The folder of the state of one export, named by `state_key`.

    Args:
        cache: the folder of states; git ignores it.
        name: the model's name.
        depends_on: model, data and parameters; `state_key` adds code, versions, device, threads and processes.
        ranks: the processes that share the work.
        code: as for `state_key`.
    """
    return cache / name / state_key(depends_on, ranks, code)


def prepare_state(folder: Path, create: Callable[[Path], None]) -> None:
    """Keep or create the arrays in `folder/maps`, and remove all other states of the model."""
    for other in states_of(folder.parent.parent, folder.parent.name):
        if other != folder:
            _discard(other)
    if not (folder / "maps").is_dir() or not _is_begun(folder):
        _discard(folder)
        with atomic.replacing_folder(folder / "maps", recorded=False) as scratch:
            create(scratch)


def discard_unless_begun(folder: Path) -> None:
    """Remove a state without finished blocks."""
    if not _is_begun(folder):
        _discard(folder)


def _is_begun(folder: Path) -> bool:
    return any(folder.glob("done.*.json"))


def _discard(folder: Path) -> None:
    """Remove a state. It is renamed first, so that an interrupted removal does not leave a valid-looking state."""
    gone = folder.with_name(f"{folder.name}.gone")
    shutil.rmtree(gone, ignore_errors=True)
    with suppress(OSError):
        folder.replace(gone)
    for left in (gone, folder):
        shutil.rmtree(left, ignore_errors=True)


# Returns the piece of a name, computed by the given function if needed. A piece consists of JSON values.
Piece = Callable[[str, Callable[[], Any]], Any]


def compute_unsaved(name: str, make: Callable[[], Any]) -> Any:
    """Compute a piece without saving it."""
    return make()


class Pieces:
    """Results by name, saved periodically and on an interruption.

    Args:
        file: of the state, with the pieces of an interrupted run.
        interruption: checked after each piece.
    """

    def __init__(self, file: Path, interruption: Interruption):
        self._file, self._interruption = file, interruption
        self._done: dict[str, Any] = json.loads(file.read_text("utf-8")) if file.is_file() else {}
        self._saved_at = time.monotonic()

    def __call__(self, name: str, make: Callable[[], Any]) -> Any:
        """The piece `name`, from the state, or computed by `make`.

        Raises:
            InputError: the run was interrupted; all pieces are saved.
        """
        if name not in self._done:
            self._done[name] = make()
            signal = self._interruption.signal
            if signal or time.monotonic() - self._saved_at > SECONDS_BETWEEN:
                write_text(self._file, json.dumps(self._done))
                self._saved_at = time.monotonic()
            if signal:
                raise InputError(
                    f"score: interrupted by {signal} after {len(self._done)} results",
                    hint='all of them are saved: run the same command, or "dvc repro", to resume',
                )
        return self._done[name]


@contextmanager
def kept_pieces(
    cache: Path, name: str, depends_on: Mapping[str, Any], device: torch.device, code: Sequence[str]
) -> Iterator[Pieces]:
    """The pieces of one model; the state is removed when the block succeeds.

    Args:
        cache: the folder of states; git ignores it.
        name: the model's name.
        depends_on: model, data, maps and parameters; `state_key` adds code, versions, device and threads.
        device: of the network.
        code: as for `state_key`.
    """
    key = state_key(depends_on, Ranks(0, 1, 0, device), code)
    with noting_interruption() as interruption:
        yield Pieces(cache / name / f"{key}.json", interruption)
    remove_states(cache, name)


@contextmanager
def shared_state(state: Path, path: Path, ranks: Ranks, create: Callable[[Path], None]) -> Iterator[Path]:
    """Let all ranks fill one folder, which replaces `path` when every rank has left the block.

    Args:
        state: folder of the unfinished work (rank 0's counts). An interrupted run's state is resumed.
        path: the final name.
        ranks: the processes that share the work.
        create: creates the files in a new folder.

    Yields:
        The folder to fill, `maps` inside the state's folder.
    """
    # Rank 0 decides: the state's name depends on the device, which may differ between ranks.
    state = ranks.gathered(state)[0]
    try:
        if ranks.leads:
            check_replaceable(path)
            prepare_state(state, create)
        ranks.wait()
        yield state / "maps"
        ranks.wait()
        if ranks.leads:
            move_folder(state / "maps", path)
            remove_states(state.parent.parent, state.parent.name)
        ranks.wait()
    finally:
        if ranks.leads:
            discard_unless_begun(state)
