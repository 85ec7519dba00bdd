"""How a stage is started: with a death signal where there is one, and without it where there is none."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

LAUNCH = Path(__file__).parents[2] / "stages/launch"
# As busybox's: it knows other options, and says so.
WITHOUT = 'echo "setpriv: unrecognized option: pdeathsig" >&2; exit 1'
WITH = 'echo "$@" >>"$SAID"; while [ "$1" != -- ]; do shift; done; shift; exec "$@"'


@pytest.mark.parametrize(("setpriv", "started"), [(WITHOUT, []), (WITH, ["true", "python -c print(6 * 7)"])])
def test_a_setpriv_without_death_signals_does_not_keep_a_stage_from_running(
    setpriv: str, started: list[str], tmp_path: Path
):
    (tmp_path / "stages").mkdir()
    shutil.copy(LAUNCH, tmp_path / "stages/launch")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/setpriv").write_text(f"#!/bin/sh\n{setpriv}\n")
    (tmp_path / "bin/setpriv").chmod(0o755)
    path = os.pathsep.join([str(tmp_path / "bin"), str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = os.environ | {"PATH": path, "VIRTUAL_ENV": sys.prefix, "SAID": str(tmp_path / "said")}
    done = subprocess.run(
        ["sh", str(tmp_path / "stages/launch"), "-c", "print(6 * 7)"],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert (done.stdout, done.stderr) == ("42\n", "")
    said = (tmp_path / "said").read_text().splitlines() if started else []
    assert said == [f"--pdeathsig TERM -- {command}" for command in started]


def test_a_notebooks_backend_of_matplotlib_does_not_reach_a_stage():
    environment = os.environ | {"MPLBACKEND": "module://matplotlib_inline.backend_inline", "VIRTUAL_ENV": sys.prefix}
    environment["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    command = ["sh", str(LAUNCH), "-c", "import os; print(os.environ['MPLBACKEND'])"]
    assert subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout == "agg\n"


def test_a_clone_with_windows_line_ends_has_the_same_bytes(tmp_path: Path):
    def git(*words: str) -> None:
        subprocess.run(["git", "-c", "user.name=t", "-c", "user.email=t@localhost", *words], cwd=tmp_path, check=True)

    for name in (".gitattributes", "stages/launch"):
        (tmp_path / "origin" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(LAUNCH.parents[1] / name, tmp_path / "origin" / name)
    git("init", "-q", "origin")
    git("-C", "origin", "add", "-A")
    git("-C", "origin", "commit", "-qm", "start")
    git("-c", "core.autocrlf=true", "clone", "-q", "origin", "clone")
    assert (tmp_path / "clone/stages/launch").read_bytes() == LAUNCH.read_bytes()


NAMES = ("OMP_NUM_THREADS", "GOMP_SPINCOUNT", "KMP_BLOCKTIME", "OPENBLAS_NUM_THREADS")
SHOW = f"import os; print([os.environ.get(name) for name in {NAMES}])"


@pytest.mark.parametrize(
    ("given", "quota", "found"),
    [
        ({}, {}, [None, "500", "0", "1"]),
        ({}, {"cpu.max": "max 100000"}, [None, "500", "0", "1"]),
        ({}, {"cpu.max": "150000 100000"}, ["2", "500", "0", "1"]),
        ({}, {"cpu/cpu.cfs_quota_us": "100000", "cpu/cpu.cfs_period_us": "100000"}, ["1", "500", "0", "1"]),
        ({}, {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, [None, "500", "0", "1"]),
        ({}, {"cpu.max": "900000 100000"}, [None, "500", "0", "1"]),
        ({"OMP_NUM_THREADS": "5"}, {"cpu.max": "100000 100000"}, ["5", "500", "0", "1"]),
        ({"GOMP_SPINCOUNT": "7", "KMP_BLOCKTIME": "200"}, {}, [None, "7", "200", "1"]),
        ({"OPENBLAS_NUM_THREADS": "2"}, {}, [None, "500", "0", "2"]),
        ({"OMP_WAIT_POLICY": "active"}, {}, [None, None, None, "1"]),
    ],
)
def test_threads_follow_the_quota_and_sleep_soon_unless_the_user_says_otherwise(
    given: Mapping[str, str], quota: Mapping[str, str], found: list[str | None], tmp_path: Path
):
    for name, text in {"nproc": "#!/bin/sh\necho 4\n", **quota}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(f"{text}\n")
    (tmp_path / "nproc").chmod(0o755)
    path = os.pathsep.join([str(tmp_path), str(Path(sys.executable).parent), os.environ["PATH"]])
    ours = {"PATH": path, "VIRTUAL_ENV": sys.prefix, "WTL_CGROUP": str(tmp_path)}
    kept = {name: value for name, value in os.environ.items() if name not in (*NAMES, "OMP_WAIT_POLICY")}
    done = subprocess.run(
        ["sh", str(LAUNCH), "-S", "-c", SHOW], env=kept | ours | given, capture_output=True, text=True, check=True
    )
    assert done.stdout == f"{found}\n"
