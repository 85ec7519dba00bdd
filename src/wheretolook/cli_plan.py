"""`wheretolook plan`: what would `dvc repro` run?"""

from pathlib import Path

import click

from wheretolook.command import Command


@click.command(cls=Command, short_help="What `dvc repro` would run.")
@click.option(
    "--root", type=click.Path(path_type=Path), default=Path(), show_default=True, help="The folder of dvc.yaml."
)
def plan(root: Path) -> None:
    """Say which stages `dvc repro` would run, also on a fresh clone that has no data.

    There `dvc repro --dry` ends with an error as soon as anything would run, and it never names the stages that follow.
    """
    from wheretolook.pipeline.plan import plan_run

    found = plan_run(root)
    if not found.changed:
        click.echo("plan: nothing would run")
        return
    click.echo(f"runs: {', '.join(found.changed)}")
    if found.followers:
        click.echo(f"follows, unless what it reads comes out the same: {', '.join(found.followers)}")
