"""`wheretolook plan`: what would `dvc repro` run?"""

from pathlib import Path

import click

from wheretolook.console.command import Command


@click.command(cls=Command, short_help="What `dvc repro` would run.")
@click.option(
    "--allow-missing",
    is_flag=True,
    help="What `dvc repro --pull --allow-missing` would run: outputs that are not here are pulled, or not needed.",
)
@click.option(
    "--root", type=click.Path(path_type=Path), default=Path(), show_default=True, help="The folder of dvc.yaml."
)
def plan(allow_missing: bool, root: Path) -> None:
    """Say what `dvc repro` would do, stage by stage, also on a fresh clone that has no data.

    There `dvc repro --dry` ends with an error as soon as anything would run, and it never names the stages that follow.

    One thing is left out: a stage that "runs" does not where DVC's run cache has it, because it ran before on the very
    same inputs, such as a parameter that was changed and set back. Its outputs are brought back then.
    """
    from wheretolook.pipeline.plan import plan_run, sentences

    for line in sentences(plan_run(root, allow_missing)):
        click.echo(line)
