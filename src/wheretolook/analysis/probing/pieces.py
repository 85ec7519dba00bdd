"""Pieces of long loops that are done, so that a killed run goes on, and ends with the bytes of one that wasn't."""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from wheretolook.data.atomic import write_text
from wheretolook.data.refusal import Refusal
from wheretolook.execution.interruption import Interruption, noting_interruption
from wheretolook.execution.ranks import Ranks
from wheretolook.execution.state_key import remove_states, state_key

# No more than this is lost by a kill, and a piece.
SECONDS_BETWEEN = 20.0

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
            Refusal: somebody asked to end.
        """
        if name not in self._done:
            self._done[name] = make()
            signal = self._interruption.signal
            if signal or time.monotonic() - self._saved_at > SECONDS_BETWEEN:
                write_text(self._file, json.dumps(self._done))
                self._saved_at = time.monotonic()
            if signal:
                raise Refusal(
                    f"score: {signal} after {len(self._done)} pieces of its loops; all of them are saved: the same "
                    'command, or "dvc repro", goes on from there'
                )
        return self._done[name]


@contextmanager
def kept_pieces(cache: Path, name: str, depends_on: Mapping[str, Any], device: torch.device) -> Iterator[Pieces]:
    """The pieces of one model's loops; forgotten when the block has come to its end.

    Args:
        cache: the folder for states; git ignores it.
        name: the model's name.
        depends_on: model, data, maps and parameters; `state_key` adds code, versions, device and threads.
        device: where the network runs.
    """
    key = state_key(depends_on, Ranks(0, 1, 0, device))
    with noting_interruption() as interruption:
        yield Pieces(cache / name / f"{key}.json", interruption)
    remove_states(cache, name)
