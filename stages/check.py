"""Refuse what is wrong in params.yaml before anything runs; write names, values and the code of networks."""

from pathlib import Path

import click

from wheretolook.base.terminal.command import StageCommand, run_stage
from wheretolook.base.terminal.options import InputPath, OutputPath


@click.command(cls=StageCommand)
@click.option("--params", cls=InputPath, default="params.yaml")
@click.option("--names", cls=OutputPath, default="reports/names.json")
@click.option("--values", cls=OutputPath, default="reports/parameters.json")
@click.option("--code", cls=OutputPath, default="reports/code")
@click.option("--tests", cls=OutputPath, default="reports/tests/names.json")
def check(params: Path, names: Path, values: Path, code: Path, tests: Path) -> None:
    """Check the sections, names and values of params.yaml, and refuse what a stage would refuse whatever its data.

    CODE/NAME.json has the SHA-256 of each file of your own network code that model NAME uses; `{}` for other models.
    """
    from wheretolook.base.errors import redacted_values
    from wheretolook.base.files import replacing_folder, write_json
    from wheretolook.project.check_values import check_values, network_code
    from wheretolook.project.dvc_state import check_no_links
    from wheretolook.project.params_file import load_params, secrets_in

    click.echo(f"check: every value of {params}")
    check_no_links(Path())
    given = load_params(params)
    networks = network_code(check_values(given))
    trained, drive = list(given["models"]), list(given["drive"])
    with replacing_folder(code) as folder:
        for name, files in networks.items():
            write_json(folder / f"{name}.json", files)
    write_json(names, {"models": [*trained, *drive], "trained": trained, "drive": drive})
    write_json(values, redacted_values(given))
    write_json(tests, list(given["test_sets"]))
    for name, files in networks.items():
        if outside := [path for path in files if not path.startswith("networks/")]:
            click.echo(f"check: models.{name} uses {', '.join(outside)}: `dvc repro` sees edits only below networks/; "
                       "move it there, or add it to the dependencies of check in dvc.yaml", err=True)  # fmt: skip
    for place in secrets_in(given):
        click.echo(f"check: {place} has a secret in its address: DVC prints it, and dvc.lock keeps it in git; "
                   "for a password use ~/.netrc, else download the file and give its path", err=True)  # fmt: skip
    more = f", {len(given['test_sets'])} further test sets" if given["test_sets"] else ""
    click.echo(f"check: {len(trained)} models to train, {len(drive)} to import{more}")


if __name__ == "__main__":
    run_stage(check)
