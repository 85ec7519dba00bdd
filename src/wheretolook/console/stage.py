"""What every stage shares: one writer at a time, and a quick end."""

import os
import sys
from typing import Any, NoReturn

import click

from wheretolook.console.command import Command, showing_failures


class StageCommand(Command):
    """A command that writes outputs, and is the only one that writes them. Use: `@click.command(cls=StageCommand)`."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the stage, as the only one that writes its outputs."""
        from wheretolook.console.writers import only_writer

        with showing_failures(), only_writer(str(self.name), ctx.params, os.environ):
            return super().invoke(ctx)


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
