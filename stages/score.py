"""Score one model: how well it classifies, and how well its maps fit the evidence."""

from pathlib import Path

import click

from wheretolook.terminal.options import CachePath, DeviceOption, InputPath, ModelName, OutputPath
from wheretolook.terminal.stage import StageCommand, run_stage


@click.command(cls=StageCommand)
@click.argument("name", type=ModelName())
@click.option(
    "--faithfulness_images",
    type=click.IntRange(0),
    required=True,
    help="Test images, equally many of each class, from which pixels are taken out to test the maps; 0: none.",
)
@click.option(
    "--curve_steps",
    type=click.IntRange(0),
    required=True,
    help="Steps of the classic insertion and deletion curves, with average drop and increase, over the same images; "
    "0: none of these.",
)
@click.option(
    "--sanity_draws",
    type=click.IntRange(0),
    required=True,
    help="Times that weights are randomised from the top layer down to see that the maps change; ten or more, or 0.",
)
@click.option("--resamples", type=click.IntRange(199), required=True, help="Resamples of each bootstrap interval.")
@click.option("--seed", type=click.IntRange(0), required=True, help="Of all that is drawn at random.")
@click.option("--device", cls=DeviceOption)
@click.option("--models", cls=InputPath, default="models")
@click.option("--prepared", cls=InputPath, default="data/prepared")
@click.option("--cams", cls=InputPath, default="data/cams")
@click.option("--cache", cls=CachePath, default=".cache/score")
@click.option("--reports", cls=OutputPath, default="reports/models", of_model="{name}.json")
def score(
    name: str,
    faithfulness_images: int,
    curve_steps: int,
    sanity_draws: int,
    resamples: int,
    seed: int,
    device: str,
    models: Path,
    prepared: Path,
    cams: Path,
    cache: Path,
    reports: Path,
) -> None:
    """Write reports/models/NAME.json, laid out in docs/results.md."""
    click.echo(
        f"score {name}: pixels taken out of {faithfulness_images} images, {sanity_draws} draws of random weights"
    )
    from wheretolook.analysis.model_result import model_result
    from wheretolook.analysis.probing.probe import probe_model
    from wheretolook.base.files import write_json
    from wheretolook.dataset.prepared import load_prepared
    from wheretolook.mapstore.store import load_maps
    from wheretolook.networks.card import read_card
    from wheretolook.results.schema import to_json

    model, data, maps = models / f"{name}.safetensors", load_prepared(prepared), load_maps(cams / name)
    tests = faithfulness_images, curve_steps, sanity_draws
    probed = probe_model(model, maps, data, device, *tests, resamples, seed, cache)
    result = model_result(name, read_card(model), maps, data, probed, resamples, seed)
    write_json(reports / f"{name}.json", to_json(result))
    shown = [f"{split} {figures.accuracy:.3f}" for split, figures in result.splits.items()]
    click.echo(f"score {name}: accuracy {', '.join(shown)}")


if __name__ == "__main__":
    run_stage(score)
