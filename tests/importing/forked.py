"""The quarantine as a fork of this process, which has its libraries loaded, in place of a new one of two seconds."""

import json
import os
import tempfile
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from wheretolook.importing import foreign, import_model, quarantine
from wheretolook.importing.quarantine import Bounds, answer, bound, judge


@contextmanager
def forked_quarantine(memory: int = 0, seconds: int = 0) -> Iterator[None]:
    """Have files opened in a fork: it does what the real process does, and the same function judges how it ended.

    Args:
        memory: bytes, in place of the limit that follows from the file's size; 0 for that limit.
        seconds: of processor time, likewise.
    """

    def fork(task: str, path: Path, subject: str, bounds: Bounds, **request: Any) -> list[str]:
        bounds = Bounds(memory or bounds.memory, seconds or bounds.seconds)
        request |= {"task": task, "path": str(path), "subject": subject}
        with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
            if (child := os.fork()) == 0:
                _open(request, bounds, output.fileno(), errors.fileno())
            code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            output.seek(0)
            errors.seek(0)
            return judge(subject, bounds, code, output.read().decode(), errors.read().decode(errors="replace"))

    kept = quarantine.open_in_quarantine
    import_model.open_in_quarantine = foreign.open_in_quarantine = fork
    try:
        yield
    finally:
        import_model.open_in_quarantine = foreign.open_in_quarantine = kept


def _open(request: dict[str, Any], bounds: Bounds, output: int, errors: int) -> None:
    """The forked child: answer the request, and end."""
    code = 1
    try:
        os.dup2(errors, 2)
        bound(bounds.memory, bounds.seconds)
        os.write(output, json.dumps(answer(request)).encode())
        code = 0
    except BaseException:  # noqa: BLE001 -- as the interpreter ends a process: with a traceback and 1
        os.write(errors, traceback.format_exc().encode())
    finally:
        os._exit(code)
