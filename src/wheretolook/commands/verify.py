"""`wheretolook verify`: is everything still what the stages wrote?"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from wheretolook.console.command import Command

if TYPE_CHECKING:
    from wheretolook.verify.verify import Verified

SHOWN = 40
AGAIN = "wait until it ends, then verify again"


@click.command(cls=Command, short_help="Whether every output is still what the stages wrote.")
@click.option("--allow-missing", is_flag=True, help="Files that are not here are no fault, as on a fresh clone.")
@click.option(
    "--root", type=click.Path(path_type=Path), default=Path(), show_default=True, help="The folder of dvc.yaml."
)
def verify(allow_missing: bool, root: Path) -> None:
    """Read every byte of every output, and hold it against dvc.lock, the manifests and each other.

    Found are: bytes that changed, files that are missing or too many; models trained on other data than the prepared;
    maps of another model file or other data; arrays of another shape or type than their manifest says; results of
    another model file; stages that last ran on something else than what the stage before them made.

    DVC itself takes a file of the same size and time for the same file. This command does not. It ends with 1 if
    anything is found, and says which commands put it right; none while a dvc is at work, whose half-done work looks
    like faults.
    """
    from wheretolook.pipeline.running import watch_dvc
    from wheretolook.report.words import count
    from wheretolook.verify.finding import remedies

    told = watch_dvc(root)
    verified = _verified(root, allow_missing, told)
    for finding in verified.findings[:SHOWN]:
        click.echo(str(finding))
    if len(verified.findings) > SHOWN:
        click.echo(f"... and {len(verified.findings) - SHOWN} more")
    if left := [] if told() else _removed_models(root):
        click.echo(f"left of models that params.yaml does not name: {', '.join(left)}; `wheretolook tidy` lists it")
    read = f"{verified.files} files, {verified.size / 1e6:.1f} MB"
    if not verified.findings:
        click.echo(f"verify: {read}: everything is what the stages wrote")
        return
    faults = f"{count(len(verified.findings), 'fault')} in {read}"
    if running := told():
        raise click.ClickException(f"{faults}, or what is being written just now: {running}; {AGAIN}")
    click.echo("\nTo put it right:\n")
    for command in remedies(verified.findings):
        click.echo(f"  {command}")
    click.echo()
    raise click.ClickException(faults)


def _verified(root: Path, allow_missing: bool, told: Callable[[], str]) -> "Verified":
    """Verify; where a lock is half-written, or a file vanishes, under a dvc at work, say so."""
    from wheretolook.data.refusal import Refusal
    from wheretolook.pipeline.locked import read_lock
    from wheretolook.pipeline.strays import find_strays
    from wheretolook.verify.verify import verify as verify_outputs

    try:
        return verify_outputs(read_lock(root), allow_missing, find_strays(root))
    except (Refusal, FileNotFoundError) as error:
        if running := told():
            raise Refusal(f"{root}: expected outputs at rest, found: {running} ({error}); {AGAIN}") from error
        raise


def _removed_models(root: Path) -> tuple[str, ...]:
    """Models of which something is left: no fault. None where params.yaml is not valid: `check` says that."""
    from wheretolook.data.refusal import Refusal
    from wheretolook.pipeline.leftovers import find_leftovers

    try:
        return find_leftovers(root).names
    except Refusal:
        return ()
