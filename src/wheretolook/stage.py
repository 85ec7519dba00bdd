"""What every stage command shares: one writer at a time, and how it shows what went wrong."""

import os
import sys
from typing import Any, NoReturn

import click

from wheretolook.data.refusal import Refusal


class StageCommand(click.Command):
    """A click command that shows a `Refusal` or a failure of the machine as one message, without a traceback.

    Use: `@click.command(cls=StageCommand)`. Any other exception is a bug and keeps its traceback.
    """

    def invoke(self, ctx: click.Context) -> Any:
        """Run the stage, as the only one that writes its outputs."""
        from wheretolook.failures import explained
        from wheretolook.writers import only_writer

        try:
            with only_writer(str(self.name), ctx.params, os.environ):
                return super().invoke(ctx)
        except Refusal as error:
            raise click.ClickException(str(error)) from error
        except (OSError, MemoryError, ImportError, RuntimeError) as error:
            message = explained(error)
            if message is None:
                raise
            raise click.ClickException(message) from error


def run_stage(command: click.Command) -> NoReturn:
    """Run a stage as a script, and leave as soon as it is done.

    With PyTorch loaded, Python would spend a second or more on taking it down object by object; twelve stages of the
    default pipeline load it. All that a stage must let go of it holds in `with` blocks, which have ended by then.
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
