"""Score one model: how well it classifies, and how well its maps fit the evidence."""

from pathlib import Path

import click

from wheretolook.base.terminal.command import StageCommand, run_stage
from wheretolook.base.terminal.options import CachePath, DeviceOption, InputPath, ModelName, OutputPath
from wheretolook.base.terminal.section import takes
from wheretolook.params.score_options import ScoreOptions


@click.command(cls=StageCommand)
@click.argument("name", type=ModelName())
@takes(ScoreOptions)
@click.option("--device", cls=DeviceOption)
@click.option("--models", cls=InputPath, default="models")
@click.option("--prepared", cls=InputPath, default="data/prepared")
@click.option("--cams", cls=InputPath, default="data/cams")
@click.option("--cache", cls=CachePath, default=".cache/score")
@click.option("--reports", cls=OutputPath, default="reports/models", of_model="{name}.json")
def score(
    name: str,
    options: ScoreOptions,
    device: str,
    models: Path,
    prepared: Path,
    cams: Path,
    cache: Path,
    reports: Path,
) -> None:
    """Write reports/models/NAME.json, laid out in docs/results.md."""
    click.echo(
        f"score {name}: regions removed from {options.faithfulness_images} images, {options.sanity_draws} sanity draws"
    )
    from wheretolook.analysis.model_result import model_result
    from wheretolook.analysis.probing.probe import probe_model
    from wheretolook.analysis.results.schema import to_json
    from wheretolook.base.files import write_json
    from wheretolook.base.prepared import load_prepared
    from wheretolook.mapstore.store import load_maps
    from wheretolook.networks.card import read_card

    model, data, maps = models / f"{name}.safetensors", load_prepared(prepared), load_maps(cams / name)
    tests = options.faithfulness_images, options.curve_steps, options.sanity_draws, options.stability_images
    probed = probe_model(model, maps, data, device, *tests, options.resamples, options.seed, cache)
    result = model_result(name, read_card(model), maps, data, probed, options.resamples, options.seed)
    write_json(reports / f"{name}.json", to_json(result))
    shown = [f"{split} {figures.accuracy:.3f}" for split, figures in result.splits.items()]
    click.echo(f"score {name}: accuracy {', '.join(shown)}")


if __name__ == "__main__":
    run_stage(score)
