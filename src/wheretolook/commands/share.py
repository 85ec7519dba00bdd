"""`wheretolook share`: a model file, checked, and the entry that brings it to others."""

from pathlib import Path

import click

from wheretolook.console.command import Command


@click.command(cls=Command)
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--name", default="", help="Of the entry in params.yaml.  [default: the file's own]")
def share(model: Path, name: str) -> None:
    """Check the file MODEL, and print the `drive:` entry and the steps that share it by Google Drive."""
    from wheretolook.console.options import LONGEST_NAME, MODEL_NAME
    from wheretolook.models.share import check_to_share, steps

    name = name or model.stem
    if not MODEL_NAME.fullmatch(name) or len(name) > LONGEST_NAME:
        raise click.ClickException(
            f"{name}: expected a letter, then letters, digits, '-' and '_', {LONGEST_NAME} characters at most, as a "
            "model's name; give one with --name"
        )
    click.echo(steps(check_to_share(model, name)), nl=False)
