"""Run the model-wise stages of many models at once, as jobs of submitit: on Slurm, or as processes of this machine.

Each job runs the stages of one model in a copy of the project that shares DVC's cache. Then the files that git tracks,
and the stages' entries in dvc.lock, are copied back, so that `dvc repro` finds those stages up to date.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from wheretolook.base.errors import InputError
from wheretolook.base.files import write_text
from wheretolook.base.resources import LockedError, held_lock
from wheretolook.project.dvc_state import check_root, read_lock, unreadable, without_dvc
from wheretolook.project.plan import plan_run

FOLDER = Path(".dvc/tmp/fan-out")
SHARED = ("check", "prepare")  # what every model's stages read; run before the jobs
KINDS = {"train": 0, "sync": 0, "export": 1, "export-drive": 1, "score": 2, "score-drive": 2}  # in this order
LAST_LINES = 5
SECONDS = 1.0  # between two looks at the jobs


class Executor(Protocol):
    """The part of a submitit executor that is used here."""

    def submit(self, function: Callable[..., Any], /, *arguments: Any) -> Any:
        """Start a job: an object with `state`, `done()`, `exception()` and `cancel()`."""


@dataclass
class Finished:
    """Outcome of the jobs.

    Attributes:
        done: models whose results are in the project now.
        failed: reason by model, with the last lines of its log.
    """

    done: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)


def fan_out(root: Path, executor: Executor, jobs: int, say: Callable[[str], object]) -> Finished:
    """Run the stages of all models that need it, `jobs` models at once; interrupting it cancels the jobs.

    Args:
        root: the folder of dvc.yaml.
        executor: of submitit, or one like it.
        jobs: models at once.
        say: takes a line for each job that starts or ends.

    Raises:
        InputError: another fan-out or DVC command runs here, the project cannot be read, or a shared stage failed.
    """
    check_root(root)
    folder = (root / FOLDER).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with held_lock(folder / "lock", f"process {os.getpid()} on {os.uname().nodename}"):
            _run_shared(root)
            models = models_to_run(root)
            say(f"fan-out: {len(models)} models need it" + (f": {', '.join(models)}" if models else ""))
            if not models:
                return Finished()
            tree = folder / "project"
            snapshot(root, tree, cache_of(root))
            return _supervise(root, tree, models, executor, jobs, say)
    except LockedError as error:
        raise InputError(
            root, "no other fan-out", f"one is running ({error.holder})", "wait until it ends, or stop it with Ctrl-C"
        ) from error


def models_to_run(root: Path) -> dict[str, list[str]]:
    """Stages of each model of which any would run, in the order in which they run: `train@NAME`, `export@NAME`, ..."""
    plan = plan_run(root)
    needed = {name.partition("@")[2] for name in (*plan.changed, *plan.lost, *plan.followers) if _kind(name) in KINDS}
    if not needed:
        return {}
    stages = [stage.name for stage in read_lock(root).stages if _kind(stage.name) in KINDS]
    found: dict[str, list[str]] = {}
    for name in sorted(stages, key=lambda name: KINDS[_kind(name)]):
        if (model := name.partition("@")[2]) in needed:
            found.setdefault(model, []).append(name)
    return found


def _kind(stage: str) -> str:
    return stage.partition("@")[0]


def _run_shared(root: Path) -> None:
    """Run `check` and what `prepare` needs here, so that every job finds the same data in the cache."""
    done = subprocess.run([sys.executable, "-m", "dvc", "repro", *SHARED], cwd=root, check=False)
    if done.returncode:
        raise InputError(
            root,
            f"`dvc repro {' '.join(SHARED)}` to succeed",
            f"exit status {done.returncode}",
            "see its message above",
        )


def cache_of(root: Path) -> Path:
    """The folder of DVC's cache, absolute."""
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    try:
        with Repo(str(root)) as repo:
            return Path(repo.cache.local_cache_dir).absolute()
    except DvcException as error:
        raise unreadable(root, error) from error


def snapshot(root: Path, tree: Path, cache: Path) -> None:
    """Copy what git does not ignore, changes that are not committed among them, as a project that uses the same cache.

    Raises:
        InputError: the project is not in a git repository.
    """
    words = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(words, cwd=root, capture_output=True, check=False)
    if listed.returncode:
        raise InputError(root, "a git repository", listed.stderr.decode(errors="replace").strip())
    shutil.rmtree(tree, ignore_errors=True)
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (root / name).is_file():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(root / name, tree / name)
    (tree / ".dvc" / "tmp").mkdir(parents=True, exist_ok=True)
    local = root / ".dvc" / "config.local"  # logins of remotes; later sections win
    text = local.read_text(encoding="utf-8") if local.is_file() else ""
    write_text(tree / ".dvc" / "config.local", f"{text}\n[cache]\n    dir = {cache}\n[core]\n    no_scm = true\n")


def _supervise(
    root: Path,
    tree: Path,
    models: Mapping[str, Sequence[str]],
    executor: Executor,
    jobs: int,
    say: Callable[[str], object],
) -> Finished:
    waiting, running, result = list(models), dict[str, Any](), Finished()
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                name = waiting.pop(0)
                running[name] = executor.submit(run_job, tree, tree.parent / "models" / name, list(models[name]))
                say(f"{name}: started")
            for name in [name for name, job in running.items() if job.done()]:
                if reason := _outcome(root, tree, name, models[name], running.pop(name)):
                    result.failed[name] = reason
                    say(f"{name}: {reason}")
                else:
                    result.done.append(name)
                    say(f"{name}: done")
            if running:
                time.sleep(SECONDS)
    finally:
        for job in running.values():
            with suppress(Exception):
                job.cancel(check=False)
    return result


def _outcome(root: Path, tree: Path, name: str, stages: Sequence[str], job: Any) -> str:
    """Take over a job's results; the reason where it failed, else empty."""
    folder = tree.parent / "models" / name
    if not (folder / "finished").is_file():
        state = getattr(job, "state", "")
        what = {"OUT_OF_MEMORY": "out of memory: give the jobs more with --memory"}.get(state)
        what = what or {"TIMEOUT": "out of time: give the jobs more with --hours"}.get(state) or "failed"
        lines = _last_lines(folder / "log.txt") or str(job.exception() or state).strip().splitlines()[-LAST_LINES:]
        return "\n  ".join([f"{what}; the end of {folder / 'log.txt'}:", *lines])
    collect(root, folder / "project", stages)
    shutil.rmtree(folder, ignore_errors=True)
    return ""


def _last_lines(log: Path) -> list[str]:
    if not log.is_file():
        return []
    return [line for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()][
        -LAST_LINES:
    ]


def collect(root: Path, tree: Path, stages: Sequence[str]) -> None:
    """Take over what stages wrote in another copy of the project: files, and entries of dvc.lock.

    Entries say which inputs were used, so that `dvc repro` runs a stage again whose inputs have changed since.

    Raises:
        InputError: a DVC command runs here.
    """
    from dvc.utils.serialize import dumps_yaml, load_yaml

    lock = root / "dvc.lock"
    with without_dvc(root / ".dvc" / "tmp") as running:
        if running:
            raise InputError(root, "no running DVC command", running, "wait until it ends, then run the same again")
        ours: dict[str, Any] = load_yaml(lock) if lock.is_file() else {"schema": "2.0"}
        theirs = load_yaml(tree / "dvc.lock")["stages"]
        cached = []
        for stage in stages:
            ours.setdefault("stages", {})[stage] = theirs[stage]
            for out in theirs[stage]["outs"]:
                cached += _take_over(root, tree, out["path"])
        write_text(lock, dumps_yaml(ours))
    if cached:
        subprocess.run([sys.executable, "-m", "dvc", "checkout", "--quiet", "--force", *cached], cwd=root, check=True)


def _take_over(root: Path, tree: Path, path: str) -> list[str]:
    """Copy an output that DVC does not cache; give the path of one that it does, to be checked out."""
    ignored = subprocess.run(["git", "check-ignore", "-q", path], cwd=root, check=False).returncode == 0
    if ignored:
        return [path]
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    write_text(root / path, (tree / path).read_text(encoding="utf-8"))
    return []


def run_job(snapshot_tree: Path, folder: Path, stages: Sequence[str]) -> None:
    """Run stages in a copy of the project: this is the job, perhaps on another machine.

    Args:
        snapshot_tree: the copy that all jobs start from.
        folder: of this model's job: its log, and its own copy, whose resume state survives a failure.
        stages: in order.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with held_lock(folder / "running", f"process {os.getpid()} on {os.uname().nodename}"):
        if (folder / "finished").is_file():
            return
        tree = folder / "project"
        _refresh(snapshot_tree, tree)
        with (folder / "log.txt").open("w", encoding="utf-8") as log:
            _dvc(["checkout", "--quiet", "data/prepared"], tree, log)
            _dvc(["repro", "--single-item", *stages], tree, log)
        write_text(folder / "finished", "")


def _refresh(snapshot_tree: Path, tree: Path) -> None:
    """Copy the snapshot again; state to resume from (.cache) stays."""
    for old in tree.iterdir() if tree.is_dir() else ():
        if old.name != ".cache":
            shutil.rmtree(old) if old.is_dir() and not old.is_symlink() else old.unlink()
    shutil.copytree(snapshot_tree, tree, dirs_exist_ok=True, symlinks=True)


def _dvc(words: Sequence[str], tree: Path, log: Any) -> None:
    """Run DVC in a copy of the project; it ends when this process does."""
    with _ending_children() as started:
        process = subprocess.Popen(
            [sys.executable, "-m", "dvc", *words],
            cwd=tree,
            stdout=log,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        started.append(process)
        if process.wait():
            raise RuntimeError(f"dvc {' '.join(words)} ended with status {process.returncode}; see {log.name}")


@contextmanager
def _ending_children() -> Iterator[list[subprocess.Popen]]:
    """Terminate the process groups of what was started in the block, where SIGTERM or an error ends it."""
    started: list[subprocess.Popen] = []

    def end(number: int, frame: object) -> None:
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield started
    finally:
        signal.signal(signal.SIGTERM, before)
        for process in started:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)
                process.wait()
