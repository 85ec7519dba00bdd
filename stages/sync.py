"""Bring a model from Google Drive: its own bytes, checked, or a foreign state dict made into a model file."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from wheretolook.terminal.command import FiniteRange
from wheretolook.terminal.options import CachePath, ModelName, NumberText, OutputPath, read_names
from wheretolook.terminal.stage import StageCommand, run_stage

if TYPE_CHECKING:
    from wheretolook.importing.foreign import Description


@click.command(cls=StageCommand)
@click.argument("name", type=ModelName())
@click.option("--timeout", type=FiniteRange(min=0, min_open=True), required=True,
              help="Seconds without an answer, or without progress, after which an attempt has failed.")  # fmt: skip
@click.option("--retries", type=click.IntRange(0), required=True,
              help="Attempts after the first, for what can heal: 429, 5xx, a cut connection.")  # fmt: skip
# An entry says only what its file needs: the options below are of one entry each, and may be left out.
@click.option("--id", "identifier", default="", help="The file's id on Google Drive.")
@click.option("--url", default="", help="In place of the id: the file's link, on Google Drive or elsewhere, or a path.")
@click.option("--folder", default="", help="In place of the id: a Drive folder's id or link, with `file`.")
@click.option("--file", default="", help="Of a folder: the file's path in it, like best.pt.")
@click.option("--sha256", default="", help="Of the file. Left out, a run says the one that it sees.")
@click.option("--architecture", default="", help="Of a foreign state dict: one that `train` knows, too.")
@click.option("--arguments", default="", help="Of the architecture, like width=16,depth=4.")
# A list in params.yaml comes as the same option again and again.
@click.option("--classes", multiple=True, callback=read_names,
              help="Of a foreign state dict, in the order of its outputs: a list; or a,b; or @FILE, a text file with "
              "one name a line, for thousands of them.")  # fmt: skip
@click.option("--input_size", type=click.IntRange(1), help="Side of the images that it was trained on, pixels.")
@click.option(
    "--mean", type=NumberText(), multiple=True, help="Of the channels of its input, in 0..1. [default: ImageNet's]"
)
@click.option(
    "--std", type=NumberText(), multiple=True, help="Of the channels of its input, in 0..1. [default: ImageNet's]"
)
@click.option("--fit", type=click.Choice(["stretch", "pad", "crop"]),
              help="How its images became squares; for `wheretolook look`, which stretches otherwise.")  # fmt: skip
@click.option("--key", default="", help="Of a foreign checkpoint: where in it the weights are, like ema or model.net.")
@click.option("--layers", multiple=True, help="Modules to look at, of code.  [default: the last of each resolution]")
@click.option("--models", cls=OutputPath, default="models", of_model="{name}.safetensors")
@click.option("--cache", cls=CachePath, default=".cache")
def sync(name: str, timeout: float, retries: int, identifier: str, url: str, folder: str,
         file: str, sha256: str, layers: tuple[str, ...], models: Path, cache: Path,
         **foreign: str | int | tuple[str, ...] | None) -> None:  # fmt: skip
    """Bring the model NAME to models/NAME.safetensors."""
    from wheretolook.base.display import redacted
    from wheretolook.downloads.attempts import Patience
    from wheretolook.downloads.obtain import obtain
    from wheretolook.importing.import_model import import_model, read_entry

    source = {"identifier": identifier, "url": url, "folder": folder, "file": file, "sha256": sha256}
    wanted, description = read_entry(name, source | foreign)
    description = with_layers(description, layers)
    click.echo(redacted(f"sync {name}: from {wanted.shown}"))
    path = obtain(wanted, cache, Patience(timeout, retries))
    target, origin = models / f"{name}.safetensors", redacted(f"drive.{name} ({wanted.shown})")
    card = import_model(path, origin, target, description, lambda report: click.echo(f"sync {name}: {report}"))
    click.echo(
        f"sync {name}: {card.architecture}, {len(card.class_names)} classes, {path.stat().st_size:,} bytes, "
        "sha256 as pinned"
    )


def with_layers(description: "Description | None", layers: tuple[str, ...]) -> "Description | None":
    """The description, with the layers of a network that is not the project's found by trying."""
    from dataclasses import replace

    from wheretolook.networks.build_network import is_wrapped

    if description is None or not is_wrapped(description.architecture):
        return description
    from wheretolook.layers.wrap import wrapped_arguments

    names, size = description.class_names, description.input_size
    wrapped = wrapped_arguments(description.architecture, len(names), description.arguments, layers, size)
    return replace(description, arguments=wrapped)


if __name__ == "__main__":
    run_stage(sync)
