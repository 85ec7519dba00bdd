"""Refuse what is wrong in params.yaml before anything runs; write names and values for later stages."""

from pathlib import Path

import click

from wheretolook.terminal.options import InputPath, OutputPath
from wheretolook.terminal.stage import StageCommand, run_stage


@click.command(cls=StageCommand)
@click.option("--params", cls=InputPath, default="params.yaml")
@click.option("--names", cls=OutputPath, default="reports/names.json")
@click.option("--values", cls=OutputPath, default="reports/parameters.json")
def check(params: Path, names: Path, values: Path) -> None:
    """Check the sections, names and values of params.yaml: what a stage would refuse, whatever its data, is refused."""
    from wheretolook.base.display import redacted_values
    from wheretolook.base.files import write_json
    from wheretolook.params_check import accept, check_together
    from wheretolook.project.lock_file import check_no_links
    from wheretolook.project.params_file import load_params, secrets_in

    click.echo(f"check: every value of {params}")
    check_no_links(Path())
    given = load_params(params)
    lines = command_lines(given)
    check_together([(where, command.name, accept(where, command, words, given)) for where, command, words in lines])
    trained, drive = list(given["models"]), list(given["drive"])
    write_json(names, {"models": [*trained, *drive], "trained": trained, "drive": drive})
    write_json(values, redacted_values(given))
    for place in secrets_in(given):
        click.echo(f"check: {place} has a secret in its address: DVC prints it, and dvc.lock keeps it in git; "
                   "for a password use ~/.netrc, else download the file and give its path", err=True)  # fmt: skip
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

    from wheretolook.project.params_file import arguments

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
