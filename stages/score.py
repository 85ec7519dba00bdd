"""Score one model: how well it classifies, and how well its maps fit the evidence."""

from pathlib import Path

import click

from wheretolook.stage import StageCommand


@click.command(cls=StageCommand)
@click.argument("name")
@click.option("--resamples", type=click.IntRange(199), required=True, help="Resamples of each bootstrap interval.")
@click.option("--seed", type=click.IntRange(0), required=True, help="Of all that is drawn at random.")
@click.option("--models", type=click.Path(path_type=Path), default=Path("models"), show_default=True)
@click.option("--prepared", type=click.Path(path_type=Path), default=Path("data/prepared"), show_default=True)
@click.option("--cams", type=click.Path(path_type=Path), default=Path("data/cams"), show_default=True)
@click.option("--reports", type=click.Path(path_type=Path), default=Path("reports/models"), show_default=True)
def score(name: str, resamples: int, seed: int, models: Path, prepared: Path, cams: Path, reports: Path) -> None:
    """Write reports/models/NAME.json, laid out in docs/results.md."""
    from wheretolook.analysis.result import model_result
    from wheretolook.cams.store import load_maps
    from wheretolook.data.atomic import write_json
    from wheretolook.data.prepared import load_prepared
    from wheretolook.models.card import read_card

    card = read_card(models / f"{name}.safetensors")
    result = model_result(name, card, load_maps(cams / name), load_prepared(prepared), resamples, seed)
    write_json(reports / f"{name}.json", result)
    shown = [f"{split} {figures['accuracy']:.3f}" for split, figures in result["splits"].items()]
    click.echo(f"score: {name}: accuracy {', '.join(shown)}")


if __name__ == "__main__":
    score()
