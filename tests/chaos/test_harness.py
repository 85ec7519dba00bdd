"""The harness sees what it looks for: a file cut short, one too many, a process that goes on; a zombie is none."""

import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.chaos.processes import alive, chaos_environment, send, wait_until_gone
from tests.chaos.rounds import make_stale
from tests.chaos.undisturbed import Undisturbed, outputs
from tests.chaos.wholeness import differing, half_written


@pytest.fixture
def undisturbed(tmp_path: Path) -> Undisturbed:
    root = tmp_path / "root"
    for path in ("data/raw/a.png", "models/one.safetensors", "reports/data.json"):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(path)
    (root / "dvc.lock").write_text("schema: '2.0'\nstages:\n  check:\n    cmd: exec sh\n  fetch:\n    cmd: exec sh\n")
    return Undisturbed(root, {"check": 1.0, "fetch": 1.0}, outputs(root))


def test_a_whole_project_has_no_fault(undisturbed: Undisturbed):
    assert half_written(undisturbed.root, undisturbed) == differing(undisturbed.root, undisturbed) == []


def test_absent_is_not_half_but_differs(undisturbed: Undisturbed):
    (undisturbed.root / "models/one.safetensors").unlink()
    assert half_written(undisturbed.root, undisturbed) == []
    assert differing(undisturbed.root, undisturbed) == ["models/one.safetensors"]


def test_a_file_cut_short_is_half_written(undisturbed: Undisturbed):
    (undisturbed.root / "models/one.safetensors").write_text("models/one")
    assert half_written(undisturbed.root, undisturbed) == ["models/one.safetensors"]


def test_an_unfinished_name_is_fine_but_must_be_gone_in_the_end(undisturbed: Undisturbed):
    (undisturbed.root / "data/raw.part-7").mkdir()
    (undisturbed.root / "data/raw.part-7/a.png").write_text("half")
    assert half_written(undisturbed.root, undisturbed) == []
    assert differing(undisturbed.root, undisturbed) == ["data/raw.part-7/a.png"]


def test_a_damaged_file_in_dvcs_cache_is_found(undisturbed: Undisturbed):
    name = hashlib.md5(b"whole").hexdigest()
    file = undisturbed.root / ".dvc/cache/files/md5" / name[:2] / name[2:]
    file.parent.mkdir(parents=True)
    file.write_bytes(b"whole")
    assert half_written(undisturbed.root, undisturbed) == []
    file.write_bytes(b"who")
    assert half_written(undisturbed.root, undisturbed) == [str(file.relative_to(undisturbed.root))]


def test_a_stale_stage_has_another_command_and_keeps_its_place(undisturbed: Undisturbed):
    make_stale(undisturbed.root, ["fetch"])
    lines = (undisturbed.root / "dvc.lock").read_text().splitlines()
    assert lines[2:] == ["  check:", "    cmd: exec sh", "  fetch:", "    cmd: once exec sh"]


def test_a_process_that_goes_on_is_seen_and_ended_and_a_zombie_is_not_alive(tmp_path: Path):
    sleeping = [sys.executable, "-c", "import time; time.sleep(60)"]
    process = subprocess.Popen(sleeping, env=chaos_environment(tmp_path))
    until = time.monotonic() + 10
    while not alive(tmp_path) and time.monotonic() < until:
        time.sleep(0.01)
    assert alive(tmp_path) == [process.pid]
    assert alive(tmp_path / "other") == []
    assert wait_until_gone(tmp_path, 0) == [process.pid]
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert alive(tmp_path) == [], "dead, though nobody has waited for it"
    assert process.wait() == -signal.SIGKILL
    assert not send(process.pid, signal.SIGTERM)
