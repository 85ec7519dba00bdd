"""What to tell a person when the machine failed: disk, memory, GPU. No torch: its errors go by their words."""

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from wheretolook.base.display import visible
from wheretolook.base.errors import InputError, is_gpu_failure, is_out_of_memory
from wheretolook.base.resources import FULL, free_bytes, is_out_of_inodes

AGAIN = "the same command, or `dvc repro`, goes on from what is done"
SPACE = "`make clean` says what outputs take, `dvc gc --workspace` drops old versions from DVC's cache"
MEMORY = "close other programs, lower batch_size, or set a smaller size"


def explained(error: Exception) -> str | None:
    """One message for an error that the machine, or what stands on its disk, is to blame for; None for any other.

    Any other is a bug, and keeps its trace. So does a file that is not there: what a user names is looked for where it
    is read, with what was expected and the remedy.

    Args:
        error: whatever a stage raised.
    """
    if isinstance(error, OSError):
        return _of_the_disk(error) or _of_a_path(error)
    if is_out_of_memory(error):
        where = "the GPU's memory" if any(word in str(error) for word in ("CUDA", "CUBLAS", "MPS")) else "memory"
        return f"{where} is full: {_first_line(error)}; nothing is left half-written; {MEMORY}; {AGAIN}"
    if is_gpu_failure(error):
        look = "" if "MPS" in str(error) else "see `nvidia-smi`; "
        return (
            f"the GPU failed or was lost: {_first_line(error)}; nothing is left half-written; {look}{AGAIN}, and "
            "WHERETOLOOK_DEVICE=cpu runs it without a GPU"
        )
    if type(error).__module__ == "sqlite3":
        return (
            f"DVC's own notes: {error}; they stand in the folder core.site_cache_dir, below /var/tmp by default; "
            f"make room there, or give yourself the right, then {AGAIN}"
        )
    return None


def _of_the_disk(error: OSError) -> str | None:
    file, again = error.filename, f"then {AGAIN}"
    if error.errno in FULL and not file:
        return f"the disk: {os.strerror(error.errno).lower()}; nothing is left half-written; {SPACE}; {again}"
    if error.errno in FULL:
        from pathlib import Path

        needed = getattr(error, "needed", 0)
        if error.errno == errno.EFBIG:
            more = f"needed {_megabytes(needed)}" if needed else "needed more"
            return f"{file}: longer than a file may be here: {more}; raise the limit (`ulimit -f`), {again}"
        more = f"needed {_megabytes(needed)}" if needed else "needed more than what was free"
        if error.errno == errno.ENOSPC and is_out_of_inodes(Path(str(file))):
            return (
                f"{file}: no inodes left on the disk: it takes no more files, however much space is free; remove files "
                f"that you do not need (`df -i` counts them); nothing is left half-written; {SPACE}; {again}"
            )
        kind = "quota" if error.errno == errno.EDQUOT else "disk"
        free = _megabytes(free_bytes(Path(str(file))))
        return (
            f"{file}: no space left on the {kind}: {more}, {free} free; nothing is left half-written; {SPACE}; {again}"
        )
    if error.errno == errno.EROFS:
        named = f"{file}: " if file else ""
        return f"{named}the disk is read-only; mount it for writing, or move the project, {again}"
    if error.errno in (errno.EMFILE, errno.ENFILE):
        named = f"{file}: " if file else ""
        return f"{named}too many open files; raise the limit (`ulimit -n 4096`), {again}"
    if error.errno == errno.EIO:
        return f"{file or 'the disk'}: the disk failed (input/output error); look at it (`dmesg`), {again}"
    if error.errno == errno.ENOMEM:
        return f"memory is full: {error}; {MEMORY}; {AGAIN}"
    return None


def _of_a_path(error: OSError) -> str | None:
    """What stands in the way at a path, and is not the program's own making."""
    file, again = error.filename, f"then {AGAIN}"
    if not file:
        return None
    if error.errno in (errno.EACCES, errno.EPERM):
        return (
            f"{file}: no permission ({error.strerror}); give yourself the right (`ls -ld` shows whose it is), {again}"
        )
    if error.errno == errno.EISDIR:
        return f"{file}: expected a file, found a folder; move it away, or name a file, {again}"
    if error.errno == errno.ENOTDIR:
        return f"{file}: expected folders above it, found a file among them; move that away, or name another, {again}"
    if error.errno == errno.EEXIST:
        return f"{file}: expected a folder, or nothing there yet, found a file; move it away, {again}"
    if error.errno == errno.ENAMETOOLONG:
        return f"{file}: expected a name that the disk takes, found a longer one; shorten it, {again}"
    return None


def _megabytes(count: int) -> str:
    return f"{count / 1e6:.1f} MB"


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else "no more was said"


class Command(click.Command):
    """A click command that shows a `InputError` or a failure of the machine as one message, without a traceback.

    Use: `@click.command(cls=Command)`. Any other exception is a bug and keeps its traceback.
    """

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        show_what_the_terminal_can()
        with showing_failures():
            return super().invoke(ctx)


def show_what_the_terminal_can() -> None:
    """Have a `?` stand for what the terminal's encoding lacks, a name or an arrow: the work is done by then."""
    if getattr(sys.stdout, "errors", "") == "strict":
        sys.stdout.reconfigure(errors="replace")


@contextmanager
def showing_failures() -> Iterator[None]:
    """Turn what was expected to go wrong in the block into the one message that click shows.

    Raises:
        ClickException: in place of a `InputError`, or of a failure of the machine.
    """
    # Not when something went wrong: with the memory full, an import would fail as well.
    from sqlite3 import OperationalError

    try:
        yield
    except InputError as error:
        raise click.ClickException(visible(str(error))) from error
    except (OSError, MemoryError, ImportError, RuntimeError, OperationalError) as error:
        message = explained(error)
        if message is None:
            raise
        raise click.ClickException(visible(message)) from error
