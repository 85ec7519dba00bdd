"""What every stage command shares: one writer at a time, and how it shows what went wrong."""

from typing import Any

import click

from wheretolook.data.refusal import Refusal


class StageCommand(click.Command):
    """A click command that shows a `Refusal` or a failure of the machine as one message, without a traceback.

    Use: `@click.command(cls=StageCommand)`. Any other exception is a bug and keeps its traceback.
    """

    def invoke(self, ctx: click.Context) -> Any:
        """Run the stage, as the only one that writes its outputs."""
        import os

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
