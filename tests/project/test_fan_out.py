"""`wheretolook fan-out`: models run as jobs, in copies of a project whose stages are stand-ins."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from wheretolook.base.errors import InputError
from wheretolook.base.resources import held_lock
from wheretolook.cli.main import main
from wheretolook.cli.project_commands import make_executor
from wheretolook.project import fan_out as fan_out_module
from wheretolook.project.fan_out import FOLDER, fan_out, models_to_run, run_job

# DVC's own use of pygtrie, in process.
pytestmark = pytest.mark.filterwarnings("ignore:_NoneStep.value:DeprecationWarning")

STAGE = """import pathlib, sys
stage, name, *value = sys.argv[1:]
assert value != ["bad"], f"{name} cannot learn {value[0]}"
cached, tracked = f"models/{name}.{stage}", f"reports/{name}.{stage}.json"
for path in (cached, tracked):
    pathlib.Path(path).parent.mkdir(exist_ok=True)
    pathlib.Path(path).write_text(f"{stage} {name} {value}")
"""
LIMITS = {"cpus_per_task": 1, "gpus_per_node": 0, "timeout_min": 60}
MODELS = {"a": {"value": "1"}, "c": {"value": "bad"}}


def per_model(stage: str, dep: str) -> dict[str, Any]:
    outs = [f"models/${{key}}.{stage}", {f"reports/${{key}}.{stage}.json": {"cache": False}}]
    command = f"python stage.py {stage} ${{key}} ${{item.value}}"
    return {"foreach": "${models}", "do": {"cmd": command, "deps": ["stage.py", dep], "outs": outs}}


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two models, the second of which cannot be trained; nothing has run."""
    monkeypatch.setattr(fan_out_module, "SECONDS", 0.05)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    root = tmp_path / "project"
    root.mkdir()
    stages = {
        "check": {"cmd": "touch checked", "outs": [{"checked": {"cache": False}}]},
        "prepare": {"cmd": "mkdir -p data/prepared && echo 1 > data/prepared/x", "outs": ["data/prepared"]},
        "train": per_model("train", "data/prepared"),
        "export": per_model("export", "models/${key}.train"),
        "score": per_model("score", "models/${key}.export"),
        "compare": {"cmd": "cat reports/a.score.json > all", "deps": ["reports/a.score.json"], "outs": ["all"]},
    }
    (root / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}))
    (root / "params.yaml").write_text(yaml.safe_dump({"models": MODELS}))
    (root / "stage.py").write_text(STAGE)
    (root / ".gitignore").write_text("/data/\n/models/\n/all\n")
    (root / ".dvc").mkdir()
    (root / ".dvc/config").write_text("[core]\n    analytics = false\n")
    (root / ".dvc/.gitignore").write_text("/config.local\n/tmp\n/cache\n")
    subprocess.run(["git", "init", "-q"], cwd=root, check=True)
    return root


class Process:
    """A job of this machine, without submitit."""

    state = "FINISHED"

    def __init__(self, arguments: tuple[Any, ...]) -> None:
        tree, folder, stages = (repr(str(each)) if isinstance(each, Path) else repr(each) for each in arguments)
        code = (
            "from pathlib import Path; from wheretolook.project.fan_out import run_job; "
            f"run_job(Path({tree}), Path({folder}), {stages})"
        )
        self.process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)
        self.cancelled = False

    def done(self) -> bool:
        return self.process.poll() is not None

    def exception(self) -> BaseException | None:
        return None

    def cancel(self, check: bool = True) -> None:
        self.cancelled = True
        self.process.terminate()
        self.process.wait()


class Processes:
    """Starts jobs, and keeps them."""

    def __init__(self) -> None:
        self.jobs: list[Process] = []
        self.most = 0

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Process:
        assert function is run_job
        self.jobs.append(Process(arguments))
        self.most = max(self.most, sum(not job.done() for job in self.jobs))
        return self.jobs[-1]


def repro(root: Path) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-m", "dvc", "repro", "compare"], cwd=root, capture_output=True, text=True, check=True
    )
    return [line.split("'")[1] for line in done.stdout.splitlines() if line.startswith("Running stage")]


def test_models_run_as_jobs_and_repro_only_compares(root: Path) -> None:
    said: list[str] = []
    executor = Processes()
    found = fan_out(root, executor, 2, said.append)
    assert found.done == ["a"]
    assert "c cannot learn bad" in found.failed["c"]
    assert executor.most == 2
    assert (root / "models/a.score").read_text() == "score a ['1']"
    assert (root / "reports/a.score.json").read_text() == "score a ['1']"
    assert not (root / "models/c.train").exists()
    assert repro(root) == ["compare"]

    # A second call runs only what is missing: the model whose parameters are mended.
    params = {"models": MODELS | {"c": {"value": "3"}}}
    (root / "params.yaml").write_text(yaml.safe_dump(params))
    assert models_to_run(root) == {"c": ["train@c", "export@c", "score@c"]}
    assert fan_out(root, executor, 2, said.append).done == ["c"]
    assert len(executor.jobs) == 3
    assert models_to_run(root) == {}
    assert not list((root / FOLDER / "models").iterdir())


def test_an_interrupt_cancels_the_jobs(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    executor = Processes()

    def interrupt(seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(fan_out_module.time, "sleep", interrupt)
    monkeypatch.setattr(fan_out_module, "_run_shared", lambda root: None)
    with pytest.raises(KeyboardInterrupt):
        fan_out(root, executor, 2, lambda line: None)
    assert [job.cancelled for job in executor.jobs] == [True, True]
    with held_lock(root / FOLDER / "lock"):  # is free again
        pass


def test_two_at_once_do_not_collide(root: Path) -> None:
    (root / FOLDER).mkdir(parents=True)
    with held_lock(root / FOLDER / "lock", "process 7 on here"), pytest.raises(InputError) as error:
        fan_out(root, Processes(), 2, lambda line: None)
    assert "process 7 on here" in str(error.value.found)


def test_without_submitit_the_command_names_what_to_install(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "submitit", None)
    done = CliRunner().invoke(main, ["fan-out", "--root", str(root)])
    assert done.exit_code == 1
    assert 'Run "pip install submitit"' in done.output


def test_submitits_own_local_executor_runs_them(root: Path) -> None:
    pytest.importorskip("submitit")
    executor = make_executor((root / FOLDER / "submitit").absolute(), "local", "", LIMITS)
    found = fan_out(root, executor, 2, lambda line: None)
    assert found.done == ["a"]
    assert "c cannot learn bad" in found.failed["c"]


def test_without_slurm_the_command_says_so(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("submitit")
    monkeypatch.setenv("PATH", "")
    with pytest.raises(InputError) as error:
        make_executor(root, "slurm", "", LIMITS)
    assert "--cluster local" in str(error.value.hint)
