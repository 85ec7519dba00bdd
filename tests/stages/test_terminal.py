"""What a stage shows on a terminal, and what it keeps to itself where there is none."""

import os
import pty
import subprocess
import sys
import termios
from pathlib import Path

import pytest

from tests.images.made_classes import write_classes
from tests.stages.test_prepare import OPTIONS

STAGE = Path(__file__).parents[2] / "stages/prepare.py"


@pytest.fixture
def words(tmp_path: Path) -> list[str]:
    """A command that decodes twenty images: a stage with a bar."""
    write_classes(tmp_path / "raw", {"a": 10, "b": 10})
    places = {"raw": str(tmp_path / "raw"), "prepared": str(tmp_path / "prepared")}
    return [sys.executable, str(STAGE), *(word for k, v in (OPTIONS | places).items() for word in (f"--{k}", v))]


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(STAGE.parents[1] / "src"), "TERM": "xterm-256color", **more}


def on_a_terminal(words: list[str], **more: str) -> str:
    """Everything that the command writes to a terminal."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 80))
    with subprocess.Popen(words, env=environment(**more), stdout=theirs, stderr=theirs) as running:
        os.close(theirs)
        shown = b""
        while True:
            try:
                chunk = os.read(ours, 4096)
            except OSError:  # Linux says so when the other end is closed
                break
            if not chunk:
                break
            shown += chunk
    os.close(ours)
    assert running.returncode == 0, shown
    return shown.decode()


def test_without_a_terminal_there_are_two_lines_and_no_bar(words: list[str]):
    done = subprocess.run(words, env=environment(), capture_output=True, text=True, timeout=900, check=True)
    assert len(done.stdout.splitlines()) == 2
    assert done.stderr == ""


@pytest.mark.parametrize("more", [{}, {"NO_COLOR": "1"}])
def test_on_a_terminal_there_is_a_bar_and_no_colour(words: list[str], more: dict[str, str]):
    shown = on_a_terminal(words, **more)
    assert "100%" in shown
    assert "\x1b[" not in shown.replace("\x1b[A", ""), "a code of the terminal other than for the bar's line"
