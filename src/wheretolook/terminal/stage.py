"""Run a stage as the only process that writes its outputs."""

import os
import platform
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, NoReturn

import click

from wheretolook.base.errors import InputError
from wheretolook.base.file_lock import LockedError, held_lock
from wheretolook.terminal.command import Command, showing_failures
from wheretolook.terminal.options import OutputPath, settings_of


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
        settings = {f"--{key}" for key in settings_of(self)} if DVC_STAGE in os.environ else set()
        for word in args:
            option, _, _ = word.partition("=")
            if option in settings:
                raise click.UsageError(
                    f"{option}: expected parameters only in params.yaml, found a setting of the run; remove "
                    f'"{option.removeprefix("--")}" from it',
                    ctx,
                )
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the stage as the only writer of its outputs."""
        title = " ".join(filter(None, (self.name, ctx.params.get("name"))))
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
