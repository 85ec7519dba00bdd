"""Refuse what is wrong in params.yaml before anything runs; write names and values for later stages."""

from pathlib import Path

import click

from wheretolook.console.stage import StageCommand, run_stage


@click.command(cls=StageCommand)
@click.option("--params", type=click.Path(path_type=Path), default=Path("params.yaml"), show_default=True)
@click.option("--names", type=click.Path(path_type=Path), default=Path("reports/names.json"), show_default=True)
@click.option("--values", type=click.Path(path_type=Path), default=Path("reports/parameters.json"), show_default=True)
def check(params: Path, names: Path, values: Path) -> None:
    """Check the sections, names and values of params.yaml: what a stage would refuse, whatever its data, is refused."""
    from wheretolook.data.atomic import write_json
    from wheretolook.pipeline.params import load_params
    from wheretolook.values import accept, check_together

    click.echo(f"check: every value of {params}")
    given = load_params(params)
    lines = command_lines(given)
    check_together([(where, command.name, accept(where, command, words, given)) for where, command, words in lines])
    trained, drive = list(given["models"]), list(given["drive"])
    write_json(names, {"models": [*trained, *drive], "trained": trained, "drive": drive})
    write_json(values, given)
    click.echo(f"check: {len(trained)} models to train, {len(drive)} to import")


def command_lines(values: dict[str, dict]) -> list[tuple[str, click.Command, list[str]]]:
    """Every stage's command with the arguments that DVC would give it, and the sections that they come from."""
    import compare
    import export
    import fetch
    import prepare
    import report
    import score
    import sync
    import train

    from wheretolook.pipeline.params import arguments

    names = [*values["models"], *values["drive"]]
    lines = [
        ("fetch", fetch.fetch, arguments(values["fetch"])),
        ("prepare", prepare.prepare, arguments(values["prepare"])),
        ("export", export.export, [names[0], *arguments(values["export"])]),
        ("score", score.score, [names[0], *arguments(values["score"])]),
        ("compare", compare.compare, arguments(values["compare"])),
        ("report", report.report, arguments(values["report"])),
    ]
    for section, shared, command in (("models", "train", train.train), ("drive", "sync", sync.sync)):
        for name, own in values[section].items():
            words = [name, *arguments(values[shared]), *arguments(own)]
            lines.append((f"{shared} and {section}.{name}", command, words))
    return lines


if __name__ == "__main__":
    run_stage(check)
