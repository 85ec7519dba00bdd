"""Export the class activation maps of one model on every prepared image."""

import os
from pathlib import Path

import click

from wheretolook.base.terminal.command import StageCommand, run_stage
from wheretolook.base.terminal.options import CachePath, DeviceOption, InputPath, ModelName, OnTestSet, OutputPath
from wheretolook.base.terminal.section import takes
from wheretolook.params.export_options import ALL, ExportOptions, parse_layers

OF_TEST_SET = {
    "prepared": "data/tests/{}/prepared",
    "cams": "data/tests/{}/cams",
    "exports": "reports/tests/{}",
    "cache": ".cache/tests/{}",
}


@click.command(cls=StageCommand)
@click.argument("name", type=ModelName())
@takes(ExportOptions)
@click.option("--test_set", cls=OnTestSet, places=OF_TEST_SET)
@click.option("--device", cls=DeviceOption)
@click.option("--models", cls=InputPath, default="models")
@click.option("--prepared", cls=InputPath, default="data/prepared")
@click.option("--cams", cls=OutputPath, default="data/cams", of_model="{name}")
@click.option("--exports", cls=OutputPath, default="reports/exports", of_model="{name}.json")
@click.option("--cache", cls=CachePath, default=".cache/export")
def export(
    name: str,
    options: ExportOptions,
    test_set: str,
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
    from wheretolook.base.prepared import load_prepared
    from wheretolook.cams.export import MapOptions, export_maps
    from wheretolook.mapstore.store import LOGITS
    from wheretolook.networks.card import read_card
    from wheretolook.networks.inputs import better_order, match_classes
    from wheretolook.networks.runtime.device import choose_device, describe_device, deterministic
    from wheretolook.networks.runtime.processes import joined_ranks

    chosen = MapOptions(**vars(options) | {"layers": parse_layers(options.layers)})
    data = load_prepared(prepared)
    with deterministic(), joined_ranks(os.environ, choose_device(device)) as ranks:
        if ranks.leads:
            what = f"{', '.join(options.methods)} of {'every layer' if options.layers == ALL else options.layers}"
            click.echo(f"export {name}: {what}, on {ranks.count} x {describe_device(ranks.device)}")
        manifest = export_maps(models / f"{name}.safetensors", data, cams / name, chosen, ranks, cache)
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
