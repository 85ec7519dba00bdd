"""Score and compare the models on a further test set."""

from pathlib import Path

import click

from wheretolook.base.terminal.command import StageCommand, run_stage
from wheretolook.base.terminal.options import InputPath, ModelName, OutputPath
from wheretolook.base.terminal.section import takes
from wheretolook.params.compare_options import CompareOptions


@click.command(cls=StageCommand)
@click.argument("name", type=ModelName())
@takes(CompareOptions)
@click.option("--tests", cls=InputPath, default="data/tests")
@click.option("--names", cls=InputPath, default="reports/names.json")
@click.option("--reports", cls=OutputPath, default="reports/tests", of_model="{name}.json")
def shift(name: str, options: CompareOptions, tests: Path, names: Path, reports: Path) -> None:
    """Write reports/tests/NAME.json, laid out in docs/results.md: every model on the test set NAME."""
    from wheretolook.analysis.agreement.study import load_study
    from wheretolook.analysis.model_result import shift_result
    from wheretolook.analysis.results.schema import to_json
    from wheretolook.base.files import write_json
    from wheretolook.base.prepared import TEST, load_prepared

    data = load_prepared(tests / name / "prepared")
    study = load_study(names, reports / name, tests / name / "cams", data, TEST)
    click.echo(f"shift {name}: {len(study.names)} models on {len(study.rows)} images")
    result = shift_result(name, study, tests / name / "prepared", options.resamples, options.seed)
    write_json(reports / f"{name}.json", to_json(result))
    shown = [f"{model} {found.scores.accuracy:.3f}" for model, found in result.models.items()]
    click.echo(f"shift {name}: accuracy {', '.join(shown)}")


if __name__ == "__main__":
    run_stage(shift)
