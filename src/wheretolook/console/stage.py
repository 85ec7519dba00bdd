"""What every stage shares: no setting of the run from params.yaml, one writer at a time, and a quick end."""

import os
import sys
from typing import Any, NoReturn

import click

from wheretolook.console.command import Command, showing_failures
from wheretolook.console.options import OutputPath, settings_of

DVC_STAGE = "DVC_STAGE"  # DVC sets it, to the stage's name, for each command that it runs


class StageCommand(Command):
    """A command that writes outputs, and is the only one that writes them. Use: `@click.command(cls=StageCommand)`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the command line; under DVC it comes from params.yaml, which may set parameters only.

        `check` refuses the same by its key, but does not run first where one stage is named.
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
        """Run the stage, as the only one that writes its outputs."""
        from wheretolook.console.writers import only_writer

        title = " ".join(filter(None, (self.name, ctx.params.get("name"))))
        outputs = [option.written(ctx.params) for option in self.params if isinstance(option, OutputPath)]
        with showing_failures(), only_writer(title, outputs, os.environ):
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
