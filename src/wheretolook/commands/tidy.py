"""`wheretolook tidy`: remove what removed models have left."""

from pathlib import Path

import click

from wheretolook.console.command import Command


@click.command(cls=Command, short_help="Remove what models that params.yaml no longer names have left.")
@click.option("--yes", is_flag=True, help="Remove it; without this, it is only listed.")
@click.option(
    "--root", type=click.Path(path_type=Path), default=Path(), show_default=True, help="The folder of dvc.yaml."
)
def tidy(yes: bool, root: Path) -> None:
    """List what models that params.yaml no longer names have left, and remove it with --yes.

    That is: the model file, its maps, its results in reports/, the state of a run that did not end, and its stages in
    dvc.lock. DVC leaves all of it, and `compare` and `report` run again for a JSON file that nothing reads. A file or
    folder of another origin is listed and stays: one that dvc.lock does not name, and of which DVC's cache has no copy;
    but results go whose model the cache holds, or that git keeps.

    DVC's cache keeps a copy of models and maps, so that an older commit has them back with `dvc checkout`. What no
    commit needs goes with `dvc gc --all-commits`.
    """
    from wheretolook.pipeline.leftovers import find_leftovers, remove_leftovers

    found = remove_leftovers(root) if yes else find_leftovers(root)
    for path in found.paths:
        click.echo(path)
    for stage in found.stages:
        click.echo(f"dvc.lock: {stage}")
    for path in found.others:
        click.echo(f"{path}: in no cache: not removed; if it is yours, keep it elsewhere")
    if not found.names:
        click.echo(f"tidy: nothing{' else' if found.others else ''} is left of models that params.yaml does not name")
        return
    what = f"{found.size / 1e6:.1f} MB of {', '.join(found.names)}"
    done = f"tidy: removed {what}; copies in DVC's cache stay until `dvc gc`"
    click.echo(done if yes else f"tidy: {what}: `wheretolook tidy --yes` removes it")
