"""What every command shares, stage or not: what a number is, and how it shows what went wrong."""

import math
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from wheretolook.data.readable import visible
from wheretolook.data.refusal import Refusal


class FiniteRange(click.FloatRange):
    """A number in a range; nan, which compares with no bound, and infinity are none."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The number that a text says."""
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{number} is no finite number.", param, ctx)
        return number


class Command(click.Command):
    """A click command that shows a `Refusal` or a failure of the machine as one message, without a traceback.

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
        ClickException: in place of a `Refusal`, or of a failure of the machine.
    """
    # Not when something went wrong: with the memory full, an import would fail as well.
    from sqlite3 import OperationalError

    from wheretolook.console.failures import explained

    try:
        yield
    except Refusal as error:
        raise click.ClickException(visible(str(error))) from error
    except (OSError, MemoryError, ImportError, RuntimeError, OperationalError) as error:
        message = explained(error)
        if message is None:
            raise
        raise click.ClickException(visible(message)) from error
