"""`wheretolook`: the library at work outside the pipeline. A command is a line in a table, imported when asked for."""

from importlib import import_module

import click

COMMANDS = {
    "look": "wheretolook.cli_look",
    "diff": "wheretolook.cli_diff",
    "share": "wheretolook.cli_share",
    "plan": "wheretolook.cli_plan",
    "verify": "wheretolook.cli_verify",
    "tidy": "wheretolook.cli_tidy",
}


class LazyGroup(click.Group):
    """A group whose commands are found by name in `COMMANDS`: the module's function of that name."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """Import the command's module."""
        return getattr(import_module(COMMANDS[name]), name) if name in COMMANDS else None


@click.group(cls=LazyGroup)
@click.version_option(package_name="wheretolook")
def main() -> None:
    """Where do image classifiers look, and can that be believed?"""


if __name__ == "__main__":
    main()
