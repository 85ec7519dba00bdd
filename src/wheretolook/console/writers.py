"""One writer for one output: who comes second gets an error that names the first."""

import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from wheretolook.data.file_lock import LockedError, held_lock
from wheretolook.errors import InputError


@contextmanager
def only_writer(title: str, outputs: Sequence[Path], environment: Mapping[str, str]) -> Iterator[None]:
    """Hold a lock for each output of a stage. The kernel releases it when the process ends, however it ends.

    DVC refuses a second `dvc repro` itself; this is for a stage that outlived its dvc, and for one started by hand.

    Args:
        title: of the stage, "train last-0".
        outputs: files and folders that it writes, resolved: two spellings of one path have one lock.
        environment: torchrun says in it which of several processes this one is; the first one holds the locks for all.

    Raises:
        InputError: another process holds one of them.
    """
    with ExitStack() as held:
        if environment.get("RANK", "0") == "0":
            holder = f"{os.getpid()} {platform.node() or 'localhost'} {title}"
            for output in sorted(set(outputs)):
                for folder in _make_parents(output):
                    held.callback(_remove_if_empty, folder)
                try:
                    held.enter_context(held_lock(lock_file(output), holder))
                except LockedError as error:
                    raise _in_use(title, output, error.holder) from error
        yield


def lock_file(output: Path) -> Path:
    """Where the lock of an output is: beside it, so that it is the same one for every process that writes there."""
    return output.with_name(f"{output.name}.part-writer.lock")


def _make_parents(output: Path) -> list[Path]:
    """Make the folders above an output; gives those that were missing, outermost first."""
    missing = [folder for folder in reversed(output.parents) if not folder.exists()]
    output.parent.mkdir(parents=True, exist_ok=True)
    return missing


def _remove_if_empty(folder: Path) -> None:
    """Remove a folder that was made for the lock alone: the stage refused its input, and wrote nothing."""
    with suppress(OSError):
        folder.rmdir()


def _in_use(title: str, output: Path, holder: str) -> InputError:
    process, _, rest = holder.partition(" ")
    host, _, other = rest.partition(" ")
    here = host == (platform.node() or "localhost")
    who = f"process {process}" + ("" if here else f" on {host}") if host else "another process"
    what = "is already running" if other in ("", title) else f"cannot start: {other} writes {output}"
    stop = f', or stop it with "kill {process}"' if here else ""
    return InputError(f"{title} {what} ({who})", hint=f"wait for it{stop}, then rerun")
