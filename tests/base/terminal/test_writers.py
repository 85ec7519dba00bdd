"""Who comes second to an output is told who came first; the kernel clears the lock of who is dead."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from tests.pipeline.code_dependencies import ROOT
from wheretolook.base.errors import InputError
from wheretolook.base.terminal.command import Command, StageCommand, lock_file, only_writer
from wheretolook.cli.main import COMMANDS, main

HANG = 300.0  # seconds; longer than any machine takes, however busy

STAGE = """
import sys, time
from pathlib import Path
import click
from wheretolook.base.terminal.options import CachePath, OutputPath
from wheretolook.base.terminal.command import StageCommand

@click.command(cls=StageCommand)
@click.argument("name")
@click.option("--seconds", type=float, default=0.0)
@click.option("--models", cls=OutputPath, default="models", of_model="{name}.safetensors")
@click.option("--cache", cls=CachePath, default=".cache")
def train(name, seconds, models, cache):
    click.echo("writes")
    sys.stdout.flush()
    time.sleep(seconds)

train()
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "stage.py").write_text(STAGE)
    return tmp_path


def start(folder: Path, *words: str, **variables: str) -> subprocess.Popen[str]:
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")} | variables
    command = [sys.executable, "stage.py", *words]
    return subprocess.Popen(
        command, cwd=folder, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


@contextmanager
def writing(folder: Path, *words: str) -> Iterator[subprocess.Popen[str]]:
    """A stage that holds its outputs, and is killed by -9 at the end of the block."""
    process = start(folder, *words, "--seconds", "60")
    try:
        assert process.stdout.readline() == "writes\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def test_a_second_process_is_refused_with_the_id_of_the_first(folder: Path):
    with writing(folder, "last-0") as first:
        second = start(folder, "last-0")
        said = second.communicate(timeout=HANG)[1]
        assert second.returncode == 1
        assert f'train last-0 is already running (process {first.pid}). Wait for it, or stop it with "kill' in said
        assert "Traceback" not in said
        assert first.poll() is None, "the first goes on"
    again = start(folder, "last-0")
    assert again.communicate(timeout=HANG)[0] == "writes\n", "killed by -9, the first left nothing that holds others"


def test_other_outputs_are_free(folder: Path):
    with writing(folder, "last-0"):
        for words in (["last-1"], ["last-0", "--models", "elsewhere"]):
            assert start(folder, *words).communicate(timeout=HANG)[0] == "writes\n"


def test_one_output_has_one_lock_however_it_is_spelt(folder: Path):
    (folder / "link").symlink_to(".")
    with writing(folder, "last-0"):
        for words in (
            ["--models", "link/models/../models"],
            ["--cache", "other"],
            ["--models", str(folder / "models")],
        ):
            assert "already running" in start(folder, "last-0", *words).communicate(timeout=HANG)[1], words


def test_torchruns_workers_are_one_writer(folder: Path):
    with writing(folder, "last-0"):
        assert start(folder, "last-0", RANK="1").communicate(timeout=HANG)[0] == "writes\n"
        assert "already running" in start(folder, "last-0", RANK="0").communicate(timeout=HANG)[1]


def test_a_stage_stopped_by_term_leaves_no_lock(folder: Path):
    with writing(folder, "last-0") as first:
        first.send_signal(signal.SIGTERM)
        first.wait(HANG)
        assert start(folder, "last-0").communicate(timeout=HANG)[0] == "writes\n"


def test_the_help_takes_no_lock(folder: Path):
    assert "Usage" in start(folder, "--help").communicate(timeout=HANG)[0]
    assert [path.name for path in folder.iterdir()] == ["stage.py"]


def test_the_lock_of_another_stage_or_host_is_named_as_such(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    output = tmp_path / "new/a"
    with only_writer("train a", [output], {}):
        with pytest.raises(InputError) as here, only_writer("sync a", [output], {}):
            pass
        monkeypatch.setattr("platform.node", lambda: "elsewhere")
        with pytest.raises(InputError) as there, only_writer("train a", [tmp_path / "b", output], {}):
            pass
        assert lock_file(output).exists() and not lock_file(tmp_path / "b").exists()
    assert here.value.subject == f"sync a cannot start: train a writes {output} (process {os.getpid()})"
    assert there.value.subject.startswith(f"train a is already running (process {os.getpid()} on ")
    assert "kill" in here.value.hint and "kill" not in there.value.hint
    assert list(tmp_path.iterdir()) == [], "neither a lock nor a folder for it is left"


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_that_is_no_stage_takes_no_lock(name: str):
    command = main.get_command(click.Context(main), name)
    assert isinstance(command, Command) and not isinstance(command, StageCommand)


def test_a_command_outside_the_pipeline_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    for words in (["share", "none.safetensors"], ["verify"], ["diff", "a", "b"]):
        done = CliRunner().invoke(main, words)
        assert done.exit_code == 1 and done.output.startswith("Error: "), done.output
    assert list(tmp_path.iterdir()) == []
