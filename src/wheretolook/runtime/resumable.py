"""A name for the state of work that isn't done: no other work, on other data, code or machine, has the same."""

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
from wheretolook.base.files import sha256_of, write_text
from wheretolook.runtime.device import describe_device
from wheretolook.runtime.distributed import Ranks
from wheretolook.runtime.workers import Interruption, noting_interruption

PACKAGE = Path(__file__).parents[1]
_STATE = re.compile(r"[0-9a-f]{32}(\..*)?")  # a key, and what is written or removed under it


def state_key(depends_on: Mapping[str, Any], ranks: Ranks, code: Sequence[str]) -> str:
    """A hash of all that the result of some work depends on: 32 hex digits.

    Args:
        depends_on: its parameters and inputs, as JSON can hold them; versions, device, threads and the number of
            processes are added here.
        ranks: the processes that share it.
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
        code: paths below the package, such as "networks" and "params/train.py".
    """
    paths = [PACKAGE / name for name in code]
    return sorted(file for path in paths for file in ([path] if path.suffix == ".py" else path.rglob("*.py")))


def states_of(cache: Path, name: str) -> list[Path]:
    """Files and folders of states that a model has in a cache: those named by a key, and nothing else that is there.

    Args:
        cache: the folder for states.
        name: of the model.
    """
    return [path for path in sorted((cache / name).glob("*")) if _STATE.fullmatch(path.name)]


def remove_states(cache: Path, name: str) -> None:
    """Remove all states of a model, and its folder in the cache, if that holds nothing else.

    Args:
        cache: the folder for states.
        name: of the model.
    """
    for state in states_of(cache, name):
        if state.is_dir() and not state.is_symlink():
            shutil.rmtree(state, ignore_errors=True)
        else:
            state.unlink(missing_ok=True)
    with suppress(OSError):
        (cache / name).rmdir()


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


def state_folder(cache: Path, name: str, depends_on: dict[str, Any], ranks: Ranks, code: Sequence[str]) -> Path:
    """Where the state of one export is kept: named by a hash of all that its bytes depend on.

    Args:
        cache: the folder for states; git ignores it.
        name: the model's name.
        depends_on: model, data and parameters; `state_key` adds code, versions, device, threads and processes.
        ranks: the processes that share the work.
        code: as for `state_key`.
    """
    return cache / name / state_key(depends_on, ranks, code)


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


# No more than this is lost by a kill, and a piece.

# A piece's name, and what makes it, to the piece: lists, dicts and numbers that JSON holds exactly.
Piece = Callable[[str, Callable[[], Any]], Any]


def made_anew(name: str, make: Callable[[], Any]) -> Any:
    """A piece that nobody keeps."""
    return make()


class Pieces:
    """Pieces by name, on disk every few seconds, and as soon as somebody asks to end.

    Args:
        file: of the state; its pieces need not be made again.
        interruption: is looked at after each piece.
    """

    def __init__(self, file: Path, interruption: Interruption):
        self._file, self._interruption = file, interruption
        self._done: dict[str, Any] = json.loads(file.read_text("utf-8")) if file.is_file() else {}
        self._saved_at = time.monotonic()

    def __call__(self, name: str, make: Callable[[], Any]) -> Any:
        """A piece, from the state or made.

        Raises:
            InputError: somebody asked to end.
        """
        if name not in self._done:
            self._done[name] = make()
            signal = self._interruption.signal
            if signal or time.monotonic() - self._saved_at > SECONDS_BETWEEN:
                write_text(self._file, json.dumps(self._done))
                self._saved_at = time.monotonic()
            if signal:
                raise InputError(
                    f"score: {signal} after {len(self._done)} pieces of its loops",
                    hint='all of them are saved: the same command, or "dvc repro", goes on from there',
                )
        return self._done[name]


@contextmanager
def kept_pieces(
    cache: Path, name: str, depends_on: Mapping[str, Any], device: torch.device, code: Sequence[str]
) -> Iterator[Pieces]:
    """The pieces of one model's loops; forgotten when the block has come to its end.

    Args:
        cache: the folder for states; git ignores it.
        name: the model's name.
        depends_on: model, data, maps and parameters; `state_key` adds code, versions, device and threads.
        device: where the network runs.
        code: as for `state_key`.
    """
    key = state_key(depends_on, Ranks(0, 1, 0, device), code)
    with noting_interruption() as interruption:
        yield Pieces(cache / name / f"{key}.json", interruption)
    remove_states(cache, name)
