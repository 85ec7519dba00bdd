"""The `wheretolook` command. Each subcommand is a line in a table, and imported only when it runs."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from types import FrameType
from typing import Any

import click

COMMANDS = {
    "look": "wheretolook.cli.look_command",
    "diff": "wheretolook.cli.diff_command",
    "moved": "wheretolook.cli.diff_command",
    "share": "wheretolook.cli.project_commands",
    "plan": "wheretolook.cli.project_commands",
    "fan-out": "wheretolook.cli.project_commands",
    "verify": "wheretolook.cli.project_commands",
    "tidy": "wheretolook.cli.project_commands",
    "adopt": "wheretolook.cli.project_commands",
}


class LazyGroup(click.Group):
    """A group whose commands are found by name in `COMMANDS`: the module's function of that name."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """Import the command's module."""
        return getattr(import_module(COMMANDS[name]), name.replace("-", "_")) if name in COMMANDS else None

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; if SIGTERM ends it, it leaves no scratch folder."""
        with ending_in_order():
            return super().invoke(ctx)


@contextmanager
def ending_in_order() -> Iterator[None]:
    """Within the block, SIGTERM raises SystemExit, so that `with` blocks remove their scratch folders."""
    before = signal.getsignal(signal.SIGTERM)
    if before is not signal.SIG_DFL or threading.current_thread() is not threading.main_thread():
        yield
        return
    signal.signal(signal.SIGTERM, _end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _end(number: int, frame: FrameType | None) -> None:
    signal.signal(number, signal.SIG_DFL)  # a second one ends the process at once
    raise SystemExit(128 + number)


@click.group(cls=LazyGroup)
@click.version_option(package_name="wheretolook")
def main() -> None:
    """Where image classifiers look, and whether their maps can be trusted."""


if __name__ == "__main__":
    main()
