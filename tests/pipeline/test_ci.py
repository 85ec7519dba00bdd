"""The commands of .github/workflows/dvc.yml, acted out on clones of a small project, with a folder for the remote.

The stages that need torch are stand-ins (tests/pipeline/stand_ins): what counts is which ones run, and what is pulled.
"""

import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.pipeline.code_dependencies import ROOT
from tests.pipeline.project import WITHOUT_TORCH, Project, copy_project, environment
from wheretolook.project.dvc_state import read_lock

WORKFLOW = yaml.safe_load((ROOT / ".github/workflows/dvc.yml").read_text(encoding="utf-8"))
JOB = WORKFLOW["jobs"]["pipeline"]
STEPS = {step["name"]: step["run"] for step in JOB["steps"] if "run" in step}


@dataclass(frozen=True)
class Acted:
    """A job on a runner.

    Attributes:
        runner: its checkout, afterwards.
        ran: the stages that ran.
        summary: what the job's summary shows.
        output: of each step, by its name.
    """

    runner: Project
    ran: list[str]
    summary: str
    output: dict[str, str]

    def cached(self) -> list[Path]:
        """Files in DVC's cache on the runner."""
        return [file for file in (self.runner.root / ".dvc/cache/files").rglob("*") if file.is_file()]


def act(runner: Project, base: str, remote: str) -> Acted:
    """Run the job's steps as a runner does, but for the environment, which this test has; stop at the first failure."""
    summary = runner.root.with_name(f"{runner.root.name}-summary.md")
    variables = {"DVC_REMOTE": remote, "BASE": base, "MAX_DRIFT": "", "GITHUB_STEP_SUMMARY": str(summary)}
    env = environment() | runner.variables | variables | {"PYTHONPATH": str(runner.root / "src")}
    output = {}
    for name, script in STEPS.items():
        if name == "environment":
            continue
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script],
            cwd=runner.root, env=env, capture_output=True, text=True, timeout=900, check=False,
        )  # fmt: skip
        output[name] = done.stdout + done.stderr
        assert done.returncode == 0, f"step {name!r} ended with {done.returncode}:\n{output[name]}"
    ran = [line.split("'")[1] for line in output["run"].splitlines() if line.startswith("Running stage")]
    return Acted(runner, ran, summary.read_text(encoding="utf-8"), output)


def change(project: Project, edit: Callable[[Any], object]) -> None:
    """Edit params.yaml."""
    params = project.read_params()
    edit(params)
    project.write_params(params)


CHANGES: dict[str, Callable[[Any], object]] = {
    "nothing": lambda params: None,
    "one-parameter": lambda params: params["models"]["every-0"].update(seed=7),
    "added": lambda params: params["models"].update({"last-7": {"loss": "last", "seed": 7}}),
    "removed": lambda params: params["models"].pop("every-0"),
}


@dataclass(frozen=True)
class Jobs:
    """What the job did: on a fork, and for each of `CHANGES` on a clone that can reach the remote."""

    fork: Acted
    changes: dict[str, Acted]


@pytest.fixture(scope="module")
def jobs(tmp_path_factory: pytest.TempPathFactory, forks: dict[str, str]) -> Jobs:
    """Two models, whose results a developer commits and pushes; then a branch and a runner for each change."""
    folder = tmp_path_factory.mktemp("ci")
    remote = str(folder / "remote")
    developer = copy_project(folder / "developer", modules=False, variables=forks, stand_ins=WITHOUT_TORCH)
    change(developer, lambda params: [params["models"].pop(name) for name in ("last-1", "every-1")])
    developer.commit("two models")
    # A fork's runner has no data either, and no remote: it serves as the developer's first run, too.
    fork = act(developer, "HEAD", "")
    developer.commit("their results")
    developer.dvc("remote", "add", "--local", "--default", "store", remote)
    developer.dvc("push", "--quiet")
    for name, edit in CHANGES.items():
        developer.run("git", "checkout", "-q", "-b", name, "main")
        (developer.root / "NOTE.md").write_text(name, encoding="utf-8")
        change(developer, edit)
        developer.commit(name)

    def job(name: str) -> Acted:
        runner = Project(folder / name, forks)
        developer.run("git", "clone", "-q", "--branch", name, str(developer.root), str(runner.root))
        return act(runner, "origin/main", remote)

    with ThreadPoolExecutor(2) as threads:
        return Jobs(fork, dict(zip(CHANGES, threads.map(job, CHANGES), strict=True)))


def test_on_a_fork_every_stage_runs_and_nothing_is_pulled(jobs: Jobs) -> None:
    models = [f"{stage}@{name}" for name in ("last-0", "every-0") for stage in ("train", "export", "score")]
    assert sorted(jobs.fork.ran) == sorted(["check", "fetch", "prepare", *models, "compare", "report"])
    assert jobs.fork.output["remote"] == ""
    assert "no remote: what is not here is made anew" in jobs.fork.summary
    assert "No results stand in HEAD" in jobs.fork.summary
    assert "The results of this change are not committed" in jobs.fork.summary


def test_nothing_changed_so_nothing_runs_and_nothing_is_pulled(jobs: Jobs) -> None:
    job = jobs.changes["nothing"]
    assert job.ran == []
    assert job.cached() == [], "bytes were pulled"
    assert not (job.runner.root / "data").exists() and not (job.runner.root / "models").exists()
    assert job.runner.run("git", "status", "--porcelain").stdout == ""
    assert "plan: nothing would run" in job.summary
    assert "Nothing changed." in job.summary
    assert "not committed" not in job.summary


def test_one_models_parameter_runs_its_stages_and_what_compares(jobs: Jobs) -> None:
    job = jobs.changes["one-parameter"]
    assert job.ran == ["check", "train@every-0", "export@every-0", "score@every-0", "compare", "report"]
    assert "runs: check, train@every-0, report\n" in job.summary
    _, told, rest = job.summary.partition("may run, if its inputs change: ")
    assert told and set(rest.splitlines()[0].split(", ")) == {"export@every-0", "score@every-0", "compare"}
    assert "| every-0 |" in job.summary, "the maps of the base were brought, and compared"
    assert "The results of this change are not committed" in job.summary


def test_what_no_stage_that_runs_reads_is_not_pulled(jobs: Jobs) -> None:
    root = jobs.changes["one-parameter"].runner.root
    assert not (root / "data/raw").exists()
    assert not (root / "models/last-0.safetensors").exists()
    assert (root / "data/cams/last-0/cam.block2.npy").exists(), "compare reads it"


def test_an_added_model_runs_alone(jobs: Jobs) -> None:
    job = jobs.changes["added"]
    assert job.ran == ["check", "train@last-7", "export@last-7", "score@last-7", "compare", "report"]
    assert "1 model added: last-7." in job.summary


def test_a_removed_model_runs_only_what_compares(jobs: Jobs) -> None:
    job = jobs.changes["removed"]
    assert job.ran == ["check", "compare", "report"]
    assert "1 model removed: every-0." in job.summary


def test_what_was_computed_is_pushed(jobs: Jobs) -> None:
    """A developer who takes dvc.lock from the artifact can pull all that it names."""
    root = jobs.changes["one-parameter"].runner.root
    pins = [pin for stage in read_lock(root).stages for pin in stage.outputs if pin.cached]
    stored = {f"{file.parent.name}{file.name}" for file in (root.parent / "remote").rglob("*") if file.is_file()}
    assert len(pins) == 8
    assert {pin.md5 for pin in pins} <= stored


def test_the_artifact_holds_what_changed(jobs: Jobs) -> None:
    upload = next(step for step in JOB["steps"] if "upload-artifact" in step.get("uses", ""))
    root = jobs.changes["one-parameter"].runner.root
    for path in upload["with"]["path"].split():
        assert (root / path).exists(), path
    out = root / "test-output/ci"
    assert sorted(file.name for file in out.iterdir()) == ["diff.html", "diff.md", "metrics.md", "summary.md"]
    assert "every-0.test.log_loss" in (out / "metrics.md").read_text(encoding="utf-8")
    assert "data:image/png;base64," in (out / "diff.html").read_text(encoding="utf-8")


def test_a_gaze_that_moved_too_far_stops_the_change(jobs: Jobs) -> None:
    runner = jobs.changes["one-parameter"].runner
    script = STEPS["limit"]
    env = (
        environment()
        | runner.variables
        | {"BASE": "origin/main", "MAX_DRIFT": "0.1", "PYTHONPATH": str(runner.root / "src")}
    )
    done = subprocess.run(
        ["bash", "-eo", "pipefail", "-c", script], cwd=runner.root, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "every-0: drift" in done.stderr


def test_no_script_contains_an_expression() -> None:
    """An expression inside a script is pasted as text: a branch's name could run commands."""
    assert all("${{" not in script for script in STEPS.values())


def test_the_secrets_of_the_job_are_in_the_docs() -> None:
    docs = (ROOT / "docs/ci.md").read_text(encoding="utf-8")
    assert all(f"`{name}`" in docs for name, value in JOB["env"].items() if "secrets." in str(value))
