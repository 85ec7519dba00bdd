"""What every stage command shares: how it shows a refusal."""

from typing import Any

import click

from wheretolook.data.refusal import Refusal


class StageCommand(click.Command):
    """A click command that shows a `Refusal` or an error of the file system as one message, without a traceback.

    Use: `@click.command(cls=StageCommand)`. Any other exception is a bug and keeps its traceback.
    """

    def invoke(self, ctx: click.Context) -> Any:
        """Run the stage."""
        try:
            return super().invoke(ctx)
        except (Refusal, OSError) as error:
            raise click.ClickException(str(error)) from error
