"""Export the class activation maps of one model on every prepared image."""

import os
from pathlib import Path

import click

from wheretolook.terminal.options import CachePath, DeviceOption, InputPath, ModelName, OutputPath
from wheretolook.terminal.stage import StageCommand, run_stage


@click.command(cls=StageCommand)
@click.argument("name", type=ModelName())
@click.option("--methods", multiple=True, required=True, help="CAM method; give it again for each one.")
@click.option("--layers", required=True, help='"all", or names of layers with commas between them.')
@click.option(
    "--precision",
    type=click.Choice(["float32", "bfloat16"]),
    required=True,
    help="Of the forward and backward passes; maps are stored as float32.",
)
@click.option("--batch_size", type=click.IntRange(1), required=True, help="Images a forward pass.")
@click.option(
    "--random_draws",
    type=click.IntRange(0),
    required=True,
    help="Networks of random weights whose maps `compare` holds the models' agreement against; ten or more, or 0.",
)
@click.option(
    "--every_class_up_to",
    type=click.IntRange(2),
    required=True,
    help="Classes up to which maps of every class are stored of every image; beyond, of the true and the predicted "
    "class, a fraction of the space, and without the test of where a class differs from the rest.",
)
@click.option("--device", cls=DeviceOption)
@click.option("--models", cls=InputPath, default="models")
@click.option("--prepared", cls=InputPath, default="data/prepared")
@click.option("--cams", cls=OutputPath, default="data/cams", of_model="{name}")
@click.option("--exports", cls=OutputPath, default="reports/exports", of_model="{name}.json")
@click.option("--cache", cls=CachePath, default=".cache/export")
def export(
    name: str,
    methods: tuple[str, ...],
    layers: str,
    precision: str,
    batch_size: int,
    random_draws: int,
    every_class_up_to: int,
    device: str,
    models: Path,
    prepared: Path,
    cams: Path,
    exports: Path,
    cache: Path,
) -> None:
    """Write the maps of model NAME: raw, signed, at each layer's own resolution, and a manifest that pins them."""
    import numpy as np

    from wheretolook.base.files import write_text
    from wheretolook.cams.export import ExportOptions, export_maps
    from wheretolook.dataset.prepared import load_prepared
    from wheretolook.layers.layer_names import parse_layers
    from wheretolook.mapstore.store import LOGITS
    from wheretolook.networks.card import read_card
    from wheretolook.networks.class_match import better_order, match_classes
    from wheretolook.runtime.device import choose_device, describe_device, deterministic
    from wheretolook.runtime.distributed import joined_ranks

    names = parse_layers(layers)
    options = ExportOptions(methods, names, precision, batch_size, random_draws, every_class_up_to)
    data = load_prepared(prepared)
    with deterministic(), joined_ranks(os.environ, choose_device(device)) as ranks:
        if ranks.leads:
            what = f"{', '.join(methods)} of {'every layer' if names is None else layers}"
            click.echo(f"export {name}: {what}, on {ranks.count} x {describe_device(ranks.device)}")
        manifest = export_maps(models / f"{name}.safetensors", data, cams / name, options, ranks, cache)
    if not ranks.leads:
        return
    write_text(exports / f"{name}.json", (cams / name / "manifest.json").read_text(encoding="utf-8"))
    click.echo(f"export {name}: maps of {manifest['data']['images']} images in {len(manifest['arrays'])} arrays")
    card = read_card(models / f"{name}.safetensors")
    columns = match_classes(models / f"{name}.safetensors", card, data.class_names)
    if order := better_order(np.load(cams / name / LOGITS, mmap_mode="r")[:, -1], data.labels, card, columns):
        click.echo(f"export {name}: its outputs fit better in the order `classes: [{', '.join(order)}]`")


if __name__ == "__main__":
    run_stage(export)
