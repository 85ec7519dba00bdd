"""Download a model from Google Drive: a model file, verified, or a foreign state dict converted into one."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from wheretolook.base.terminal.command import StageCommand, run_stage
from wheretolook.base.terminal.options import CachePath, ModelName, OutputPath, RetriesOption, TimeoutOption
from wheretolook.base.terminal.section import takes
from wheretolook.params.drive_options import DriveOptions

if TYPE_CHECKING:
    from wheretolook.importing.foreign import Description


@click.command(cls=StageCommand)
@click.argument("name", type=ModelName())
@takes(DriveOptions)
@click.option("--timeout", cls=TimeoutOption)
@click.option("--retries", cls=RetriesOption)
@click.option("--models", cls=OutputPath, default="models", of_model="{name}.safetensors")
@click.option("--cache", cls=CachePath, default=".cache")
def sync(name: str, options: DriveOptions, timeout: float, retries: int, models: Path, cache: Path) -> None:
    """Download the model NAME to models/NAME.safetensors."""
    from wheretolook.base.errors import redacted
    from wheretolook.downloads.attempts import RetryPolicy
    from wheretolook.downloads.obtain import obtain
    from wheretolook.importing.import_model import import_model, read_entry

    wanted, description = read_entry(name, vars(options))
    description = with_layers(description, options)
    click.echo(redacted(f"sync {name}: from {wanted.shown}"))
    path = obtain(wanted, cache, RetryPolicy(timeout, retries))
    target, origin = models / f"{name}.safetensors", redacted(f"drive.{name} ({wanted.shown})")
    say = lambda report: click.echo(f"sync {name}: {report}")  # noqa: E731
    card = import_model(path, origin, target, description, say, options.accept_code)
    click.echo(
        f"sync {name}: {card.architecture}, {len(card.class_names)} classes, {path.stat().st_size:,} bytes, "
        "sha256 as pinned"
    )


def with_layers(description: "Description | None", options: DriveOptions) -> "Description | None":
    """The description; for a timm network or one of the user's, with the layers that a trial run finds."""
    from dataclasses import replace

    from wheretolook.networks.checkpoint import is_wrapped

    if description is None or not is_wrapped(description.architecture):
        return description
    from wheretolook.networks.layers.layer import wrapped_arguments
    from wheretolook.networks.layers.layout import make_hints

    hints = make_hints(options.grid, options.prefix_tokens, options.layout)
    names, size = description.class_names, description.input_size
    keywords = description.arguments
    wrapped = wrapped_arguments(description.architecture, len(names), keywords, options.layers, size, hints)
    return replace(description, arguments=wrapped)


if __name__ == "__main__":
    run_stage(sync)
