"""Commands and stages: messages for failures of the machine, and a stage as the only writer of its outputs.

torch is not imported; its errors are known by text.

"""

import errno
import io
import os
import platform
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, NoReturn

import click

from wheretolook.base.errors import InputError, is_gpu_failure, is_out_of_memory, visible
from wheretolook.base.resources import FULL, LockedError, free_bytes, held_lock, is_out_of_inodes
from wheretolook.base.terminal.options import TEST_SET, OutputPath, settings_of, unknown_key

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


@contextmanager
def only_writer(title: str, outputs: Sequence[Path], environment: Mapping[str, str]) -> Iterator[None]:
    """Hold a lock for each output of a stage. The kernel releases it when the process ends, however it ends.

    DVC itself refuses a second `dvc repro`. This is for a stage that outlived its dvc, and for one started by hand.

    Args:
        title: of the stage, such as "train last-0".
        outputs: files and folders that it writes, resolved, so that two spellings of a path have one lock.
        environment: has torchrun's RANK of this process; rank 0 holds the locks for all.

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
    """The lock file of an output. It is beside the output, so that all processes that write there share it."""
    return output.with_name(f"{output.name}.part-writer.lock")


def _make_parents(output: Path) -> list[Path]:
    """Create the folders above an output; return those that were missing, outermost first."""
    missing = [folder for folder in reversed(output.parents) if not folder.exists()]
    output.parent.mkdir(parents=True, exist_ok=True)
    return missing


def _remove_if_empty(folder: Path) -> None:
    """Remove a folder that was created only for the lock, of a stage that wrote nothing."""
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


DVC_STAGE = "DVC_STAGE"  # DVC sets it to the stage's name for each command that it runs


class StageCommand(Command):
    """A command that is the only writer of its outputs. Use: `@click.command(cls=StageCommand)`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the command line. Under DVC it comes from params.yaml, which may set only parameters.

        `check` refuses settings of a run too, but not for a stage that runs alone (`dvc repro -s`).
        """
        settings = {f"--{key}" for key in settings_of(self) - {TEST_SET}} if DVC_STAGE in os.environ else set()
        for word in args:
            option, _, _ = word.partition("=")
            if option in settings:
                raise click.UsageError(
                    f"{option}: expected parameters only in params.yaml, found a setting of the run; remove "
                    f'"{option.removeprefix("--")}" from it',
                    ctx,
                )
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            if DVC_STAGE not in os.environ:
                raise
            key, stage = error.option_name.removeprefix("--").removeprefix("no-"), os.environ[DVC_STAGE]
            raise click.UsageError(str(unknown_key(f"params.yaml, for {stage}", key, self)), ctx) from error

    def invoke(self, ctx: click.Context) -> Any:
        """Run the stage as the only writer of its outputs."""
        title = " ".join(filter(None, (self.name, ctx.params.get("name"), ctx.params.get(TEST_SET))))
        outputs = [option.written(ctx.params) for option in self.params if isinstance(option, OutputPath)]
        with showing_failures(), only_writer(title, outputs, os.environ):
            return super().invoke(ctx)


def run_stage(command: click.Command) -> NoReturn:
    """Run a stage as a script, and exit at once when it is done.

    With PyTorch loaded, Python's normal exit takes a second or more, in each of twelve stages of the default pipeline.
    A stage holds its resources in `with` blocks, which have ended by then.
    """
    try:
        command()
    except SystemExit as end:
        if "torch" not in sys.modules or not isinstance(end.code, int):
            raise
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(end.code)
    raise SystemExit(0)
