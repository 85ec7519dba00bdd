"""Commands about the pipeline and its results: plan, adopt, tidy, verify, share."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from wheretolook.terminal.command import Command

if TYPE_CHECKING:
    from wheretolook.verify.contents import Verified


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
    from wheretolook.project.plan import plan_run, sentences

    for line in sentences(plan_run(root, allow_missing)):
        click.echo(line)


@click.command(cls=Command, short_help="Keep results that new code does not change.")
@click.option("--yes", is_flag=True, help="Run the samples and accept the others; without this, only list the stages.")
@click.option(
    "--samples", type=click.IntRange(1), default=1, show_default=True, help="Stages of each kind that run again."
)
@click.option(
    "--root", type=click.Path(path_type=Path), default=Path(), show_default=True, help="The folder of dvc.yaml."
)
def adopt(yes: bool, samples: int, root: Path) -> None:
    """Keep results after a change of code that does not change them.

    Code is a dependency of each stage, so after an upgrade `dvc repro` runs every model again. This command lists the
    stages for which code alone changed. With --yes it runs a sample of each kind of stage again; where the outputs are
    byte for byte the same, it accepts the other stages of that kind, and `dvc repro` has nothing left to do for them.
    Where they differ, it restores the earlier outputs and exits with status 1.

    Use it on the machine that made the results: another processor may change the last bits of a training.
    """
    from wheretolook.project.adopt import adopt as accept
    from wheretolook.project.adopt import changed_stages

    if not yes:
        for stage in changed_stages(root):
            what = f"code alone ({', '.join(stage.code)})" if not stage.other else ", ".join(stage.other)
            click.echo(f"{stage.name}: {what}")
        click.echo("adopt: `wheretolook adopt --yes` runs a sample of each kind and accepts the others")
        return
    done = accept(root, samples, click.echo)
    for name, reasons in done.left.items():
        click.echo(f"{name}: still to run: {', '.join(reasons)} changed")
    ran, accepted, left = len(done.ran), len(done.accepted), len(done.left)
    click.echo(f"adopt: {ran} stages ran, {accepted} accepted, {left} left to `dvc repro`")


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
    from wheretolook.project.leftovers import find_leftovers, remove_leftovers

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
    from wheretolook.project.running import watch_dvc
    from wheretolook.report.words import count
    from wheretolook.verify.checks import remedies

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
    from wheretolook.base.errors import InputError
    from wheretolook.project.leftovers import find_strays
    from wheretolook.project.lock_file import read_lock
    from wheretolook.verify.contents import verify as verify_outputs

    try:
        return verify_outputs(read_lock(root), allow_missing, find_strays(root))
    except (InputError, FileNotFoundError) as error:
        if running := told():
            raise InputError(root, expected=f"outputs at rest, found: {running} ({error})", hint=AGAIN) from error
        raise


def _removed_models(root: Path) -> tuple[str, ...]:
    """Models of which something is left: no fault. None where params.yaml is not valid: `check` says that."""
    from wheretolook.base.errors import InputError
    from wheretolook.project.leftovers import find_leftovers

    try:
        return find_leftovers(root).names
    except InputError:
        return ()


@click.command(cls=Command)
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--name", default="", help="Of the entry in params.yaml.  [default: the file's own]")
def share(model: Path, name: str) -> None:
    """Check the file MODEL, and print the `drive:` entry and the steps that share it by Google Drive."""
    from wheretolook.importing.import_model import check_to_share, steps
    from wheretolook.terminal.options import LONGEST_NAME, MODEL_NAME

    name = name or model.stem
    if not MODEL_NAME.fullmatch(name) or len(name) > LONGEST_NAME:
        raise click.ClickException(
            f"{name}: expected a letter, then letters, digits, '-' and '_', {LONGEST_NAME} characters at most, as a "
            "model's name; give one with --name"
        )
    click.echo(steps(check_to_share(model, name)), nl=False)
