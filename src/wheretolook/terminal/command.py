"""Messages for failures of the machine: disk, memory, GPU. torch is not imported; its errors are known by text."""

import errno
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from wheretolook.base.display import visible
from wheretolook.base.errors import InputError, is_gpu_failure, is_out_of_memory
from wheretolook.base.resources import FULL, free_bytes, is_out_of_inodes

AGAIN = "run the same command, or `dvc repro`, to resume"
SPACE = "`make clean` shows the size of outputs, `dvc gc --workspace` removes old versions from DVC's cache"
MEMORY = "close other programs, lower batch_size, or set a smaller size"


def explained(error: Exception) -> str | None:
    """One message for an error that the machine or its disk caused; None for any other.

    Any other error is a bug and keeps its traceback. So does a missing file: files that a user names are checked where
    they are read, with an InputError.

    Args:
        error: what a stage raised.
    """
    if isinstance(error, OSError):
        return _of_the_disk(error) or _of_a_path(error)
    if is_out_of_memory(error):
        where = "the GPU's memory" if any(word in str(error) for word in ("CUDA", "CUBLAS", "MPS")) else "memory"
        return f"{where} is full: {_first_line(error)}; no output is incomplete; {MEMORY}; {AGAIN}"
    if is_gpu_failure(error):
        look = "" if "MPS" in str(error) else "see `nvidia-smi`; "
        return (
            f"the GPU failed or was lost: {_first_line(error)}; no output is incomplete; {look}{AGAIN}, and "
            "WHERETOLOOK_DEVICE=cpu runs it without a GPU"
        )
    if type(error).__module__ == "sqlite3":
        return (
            f"DVC's database: {error}; it is in the folder core.site_cache_dir, below /var/tmp by default; "
            f"free space there, or give yourself write permission, then {AGAIN}"
        )
    return None


def _of_the_disk(error: OSError) -> str | None:
    file, again = error.filename, f"then {AGAIN}"
    if error.errno in FULL and not file:
        return f"the disk: {os.strerror(error.errno).lower()}; no output is incomplete; {SPACE}; {again}"
    if error.errno in FULL:
        from pathlib import Path

        needed = getattr(error, "needed", 0)
        if error.errno == errno.EFBIG:
            more = f"needed {_megabytes(needed)}" if needed else "needed more"
            return f"{file}: larger than the file size limit: {more}; raise the limit (`ulimit -f`), {again}"
        more = f"needed {_megabytes(needed)}" if needed else "needed more than is free"
        if error.errno == errno.ENOSPC and is_out_of_inodes(Path(str(file))):
            return (
                f"{file}: no inodes left on the disk: it can hold no more files, however much space is free; remove "
                f"files that you do not need (`df -i` counts them); no output is incomplete; {SPACE}; {again}"
            )
        kind = "quota" if error.errno == errno.EDQUOT else "disk"
        free = _megabytes(free_bytes(Path(str(file))))
        return f"{file}: no space left on the {kind}: {more}, {free} free; no output is incomplete; {SPACE}; {again}"
    if error.errno == errno.EROFS:
        named = f"{file}: " if file else ""
        return f"{named}the disk is read-only; mount it for writing, or move the project, {again}"
    if error.errno in (errno.EMFILE, errno.ENFILE):
        named = f"{file}: " if file else ""
        return f"{named}too many open files; raise the limit (`ulimit -n 4096`), {again}"
    if error.errno == errno.EIO:
        return f"{file or 'the disk'}: the disk failed (input/output error); check it (`dmesg`), {again}"
    if error.errno == errno.ENOMEM:
        return f"memory is full: {error}; {MEMORY}; {AGAIN}"
    return None


def _of_a_path(error: OSError) -> str | None:
    """A message for a path that the operating system refuses."""
    file, again = error.filename, f"then {AGAIN}"
    if not file:
        return None
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"{file}: permission denied ({error.strerror}); change its mode or owner (`ls -ld` shows them), {again}"
    if error.errno == errno.EISDIR:
        return f"{file}: expected a file, found a folder; move it away, or name a file, {again}"
    if error.errno == errno.ENOTDIR:
        return f"{file}: expected folders above it, found a file; move it away, or choose another path, {again}"
    if error.errno == errno.EEXIST:
        return f"{file}: expected a folder or a free path, found a file; move it away, {again}"
    if error.errno == errno.ENAMETOOLONG:
        return f"{file}: file name too long; shorten it, {again}"
    return None


def _megabytes(count: int) -> str:
    return f"{count / 1e6:.1f} MB"


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else "no details"


class Command(click.Command):
    """A click command that shows an `InputError` or a failure of the machine as one message, without a traceback.

    Use: `@click.command(cls=Command)`. Any other exception is a bug and keeps its traceback.
    """

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        show_what_the_terminal_can()
        with showing_failures():
            return super().invoke(ctx)


def show_what_the_terminal_can() -> None:
    """Print `?` for characters that the terminal's encoding lacks: a message must not fail after the work is done."""
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="replace")


@contextmanager
def showing_failures() -> Iterator[None]:
    """Turn an InputError, or a failure of the machine, into the one message that click shows.

    Raises:
        ClickException: in place of an `InputError`, or of a failure of the machine.
    """
    # Imported before anything fails: with the memory full, an import would fail too.
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
