"""Commands about the pipeline and its results: plan, fan-out, adopt, tidy, verify, share."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from wheretolook.base.terminal.command import Command
from wheretolook.base.terminal.options import RetriesOption, TimeoutOption

if TYPE_CHECKING:
    from wheretolook.project.fan_out import Executor
    from wheretolook.verify.contents import Verified


@click.command(cls=Command, short_help="Show what `dvc repro` would run.")
@click.option(
    "--allow-missing",
    is_flag=True,
    help="Show what `dvc repro --pull --allow-missing` would run: missing outputs are pulled, or not needed.",
)
@click.option(
    "--root", type=click.Path(path_type=Path), default=Path(), show_default=True, help="The folder of dvc.yaml."
)
def plan(allow_missing: bool, root: Path) -> None:
    """Show what `dvc repro` would do, stage by stage, also on a fresh clone without data.

    There `dvc repro --dry` fails as soon as any stage would run, and it never lists the stages that follow.

    Not considered: DVC's run cache. A stage listed under "runs" is restored instead if it ran before on the same
    inputs, for example after a parameter was changed and set back.
    """
    from wheretolook.project.plan import plan_run, sentences

    for line in sentences(plan_run(root, allow_missing)):
        click.echo(line)


@click.command(cls=Command, short_help="Run the stages of many models at once, as jobs.")
@click.option("--jobs", type=click.IntRange(1), default=2, show_default=True, help="Models at once.")
@click.option(
    "--cluster",
    type=click.Choice(["slurm", "local"]),
    help="Where jobs run: on Slurm, or as processes of this machine.  [default: Slurm where there is one]",
)
@click.option("--cores", type=click.IntRange(1), default=1, show_default=True, help="Processor cores of each job.")
@click.option("--gpus", type=click.IntRange(0), default=0, show_default=True, help="GPUs of each job.")
@click.option("--memory", type=click.IntRange(0), default=0, help="Memory of each job in GB.  [default: Slurm's]")
@click.option(
    "--hours", type=click.FloatRange(0, min_open=True), default=24.0, show_default=True, help="Limit of a job."
)
@click.option("--partition", default="", help="Partition of Slurm.  [default: Slurm's]")
@click.option(
    "--root", type=click.Path(path_type=Path), default=Path(), show_default=True, help="The folder of dvc.yaml."
)
def fan_out(
    jobs: int, cluster: str | None, cores: int, gpus: int, memory: int, hours: float, partition: str, root: Path
) -> None:
    """Train or download, export and score several models at once, each as a job of Slurm or of this machine.

    It first runs `check`, `fetch` and `prepare`. Then each model that needs it gets a job, which runs the model's
    stages in a copy of the project that shares DVC's cache; the machines must share its file system. The results are
    copied back, and `dvc repro` only compares and reports. Changes that are not committed are copied too.

    Ctrl-C cancels the jobs. The same command then runs only what is missing. If a job fails, the others go on, and the
    command exits with status 1. Where a job runs is no parameter: it makes no stage run again. Training gives the same
    bytes only with the same number of cores.
    """
    from wheretolook.project.fan_out import FOLDER
    from wheretolook.project.fan_out import fan_out as run_models
    from wheretolook.report.words import count

    limits = {"cpus_per_task": cores, "gpus_per_node": gpus, "timeout_min": max(1, round(hours * 60))}
    limits |= {"mem_gb": memory} if memory else {}
    executor = make_executor((root / FOLDER / "submitit").absolute(), cluster, partition, limits)
    found = run_models(root, executor, jobs, click.echo)
    click.echo(f"fan-out: {count(len(found.done), 'model')} done; `dvc repro` compares and reports")
    if found.failed:
        raise click.ClickException(f"{count(len(found.failed), 'model')} failed: {', '.join(found.failed)}")


def make_executor(folder: Path, cluster: str | None, partition: str, limits: dict[str, int]) -> "Executor":
    """An executor of submitit, with its logs in `folder`, and the limits of each job by submitit's names.

    Raises:
        InputError: submitit is not installed, or there is no Slurm here.
    """
    from wheretolook.base.errors import InputError

    try:
        import submitit
    except ImportError as error:
        raise InputError("submitit", "the package", "none installed", 'Run "pip install submitit"') from error
    if cluster == "slurm" and shutil.which("sbatch") is None:
        hint = "run it on a login node of the cluster, or use --cluster local"
        raise InputError("--cluster slurm", "the command sbatch", "none on the PATH", hint)
    os.environ["OMP_NUM_THREADS"] = str(limits["cpus_per_task"])  # jobs inherit it
    executor = submitit.AutoExecutor(folder=folder, cluster=cluster)
    on_slurm = {"slurm_partition": partition} if partition and executor.cluster == "slurm" else {}
    executor.update_parameters(name="wheretolook", **limits, **on_slurm)
    return executor


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


@click.command(cls=Command, short_help="Remove files of models that params.yaml no longer names.")
@click.option("--yes", is_flag=True, help="Remove the files; without this, only list them.")
@click.option(
    "--root", type=click.Path(path_type=Path), default=Path(), show_default=True, help="The folder of dvc.yaml."
)
def tidy(yes: bool, root: Path) -> None:
    """List the files of models that params.yaml no longer names, and remove them with --yes.

    These are the model file, its maps, its results in reports/, the state of an unfinished run, and its entries in
    dvc.lock. DVC keeps all of them, and `compare` and `report` run again because of a JSON file that nothing reads.
    Files that no stage wrote (not in dvc.lock, no copy in DVC's cache) are listed and kept; results are removed if
    their model is in the cache, or if git tracks them.

    DVC's cache keeps a copy of models and maps, so `dvc checkout` restores them for an older commit.
    `dvc gc --all-commits` removes what no commit needs.
    """
    from wheretolook.project.leftovers import find_leftovers, remove_leftovers

    found = remove_leftovers(root) if yes else find_leftovers(root)
    for path in found.paths:
        click.echo(path)
    for stage in found.stages:
        click.echo(f"dvc.lock: {stage}")
    for path in found.others:
        click.echo(f"{path}: not written by a stage, kept; move it elsewhere if you need it")
    if not found.names:
        click.echo(f"tidy: no{' other' if found.others else ''} files of models that params.yaml does not name")
        return
    what = f"{found.size / 1e6:.1f} MB of {', '.join(found.names)}"
    done = f"tidy: removed {what}; copies in DVC's cache stay until `dvc gc`"
    click.echo(done if yes else f"tidy: {what}: `wheretolook tidy --yes` removes it")


SHOWN = 40
AGAIN = "wait until it ends, then verify again"


@click.command(cls=Command, short_help="Check that every output is what the stages wrote.")
@click.option("--allow-missing", is_flag=True, help="Accept missing files, as on a fresh clone.")
@click.option(
    "--root", type=click.Path(path_type=Path), default=Path(), show_default=True, help="The folder of dvc.yaml."
)
def verify(allow_missing: bool, root: Path) -> None:
    """Read every output, and compare it with dvc.lock, the manifests and the other outputs.

    It finds changed, missing and extra files; models trained on other data than the prepared; maps of another model
    file or other data; arrays whose shape or type differs from their manifest; results of another model file; and
    stages that last ran on other inputs than the stage before them wrote.

    DVC itself trusts a file whose size and time are unchanged. This command reads it. It exits with status 1 if
    anything is wrong, and prints the commands that repair it, unless DVC is running, since unfinished work looks wrong.
    """
    from wheretolook.project.dvc_state import watch_dvc
    from wheretolook.report.words import count
    from wheretolook.verify.checks import remedies

    dvc_running = watch_dvc(root)
    verified = _verified(root, allow_missing, dvc_running)
    for finding in verified.findings[:SHOWN]:
        click.echo(str(finding))
    if len(verified.findings) > SHOWN:
        click.echo(f"... and {len(verified.findings) - SHOWN} more")
    if left := [] if dvc_running() else _removed_models(root):
        click.echo(f"files of models that params.yaml does not name: {', '.join(left)}; `wheretolook tidy` lists them")
    read = f"{verified.files} files, {verified.size / 1e6:.1f} MB"
    if not verified.findings:
        click.echo(f"verify: {read}: everything is what the stages wrote")
        return
    faults = f"{count(len(verified.findings), 'fault')} in {read}"
    if running := dvc_running():
        raise click.ClickException(f"{faults}, or unfinished work: {running}; {AGAIN}")
    click.echo("\nTo repair it:\n")
    for command in remedies(verified.findings):
        click.echo(f"  {command}")
    click.echo()
    raise click.ClickException(faults)


def _verified(root: Path, allow_missing: bool, dvc_running: Callable[[], str]) -> "Verified":
    """Verify; if a lock is incomplete or a file vanishes because DVC is running, say so."""
    from wheretolook.base.errors import InputError
    from wheretolook.project.dvc_state import read_lock
    from wheretolook.project.leftovers import find_strays
    from wheretolook.verify.contents import verify as verify_outputs

    try:
        return verify_outputs(read_lock(root), allow_missing, find_strays(root))
    except (InputError, FileNotFoundError) as error:
        if running := dvc_running():
            raise InputError(root, "no running DVC command", f"{running} ({error})", AGAIN) from error
        raise


def _removed_models(root: Path) -> tuple[str, ...]:
    """Models whose files are left, which is not an error. Empty if params.yaml is invalid, which `check` reports."""
    from wheretolook.base.errors import InputError
    from wheretolook.project.leftovers import find_leftovers

    try:
        return find_leftovers(root).names
    except InputError:
        return ()


@click.command(cls=Command)
@click.argument("model")
@click.option("--name", default="", help="Name of the entry in params.yaml.  [default: the file's name]")
@click.option("--timeout", cls=TimeoutOption)
@click.option("--retries", cls=RetriesOption)
def share(model: str, name: str, timeout: float, retries: int) -> None:
    """Check the model file MODEL, and print how to share it on Google Drive, with its `drive` entry for params.yaml.

    If MODEL is a link to a Google Drive folder, print an entry for each model file in it; --name is then ignored.
    """
    if "://" in model:
        from wheretolook.importing.import_model import entries_of_folder

        click.echo(entries_of_folder(model, timeout, retries), nl=False)
        return
    _share_file(Path(model), name)


def _share_file(model: Path, name: str) -> None:
    from wheretolook.base.terminal.options import LONGEST_NAME, MODEL_NAME
    from wheretolook.importing.import_model import check_to_share, steps

    name = name or model.stem
    if not MODEL_NAME.fullmatch(name) or len(name) > LONGEST_NAME:
        raise click.ClickException(
            f"{name}: expected a letter, then letters, digits, '-' and '_', {LONGEST_NAME} characters at most, as a "
            "model's name; give one with --name"
        )
    click.echo(steps(check_to_share(model, name)), nl=False)
