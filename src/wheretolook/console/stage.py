"""What every stage shares: no setting of the run from params.yaml, one writer at a time, and a quick end."""

import os
import sys
from typing import Any, NoReturn

import click
from click.core import ParameterSource

from wheretolook.console.command import Command, showing_failures
from wheretolook.console.options import OutputPath, RunOption

DVC_STAGE = "DVC_STAGE"  # DVC sets it, to the stage's name, for each command that it runs


class StageCommand(Command):
    """A command that writes outputs, and is the only one that writes them. Use: `@click.command(cls=StageCommand)`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the command line; under DVC it comes from params.yaml, which may set parameters only.

        `check` refuses the same by its key, but does not run first where one stage is named.
        """
        under_dvc = DVC_STAGE in os.environ
        if under_dvc and set(args) & set(self.get_help_option_names(ctx)):
            raise _no_parameter(ctx, "--help")
        rest = super().parse_args(ctx, args)
        for option in self.params if under_dvc else ():
            given = ctx.get_parameter_source(str(option.name)) is ParameterSource.COMMANDLINE
            if given and isinstance(option, RunOption):
                raise _no_parameter(ctx, option.opts[0])
        return rest

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


def _no_parameter(ctx: click.Context, option: str) -> click.UsageError:
    return click.UsageError(
        f"{option}: expected parameters only in params.yaml, found a setting of the run; remove "
        f'"{option.removeprefix("--")}" from it',
        ctx,
    )
