"""`wheretolook` itself: what its commands cost to ask for help, and what it refuses."""

import resource
import subprocess
import sys

import pytest
from click.testing import CliRunner

from wheretolook.cli.main import COMMANDS, main


def used():
    """Seconds of processor time that ended processes took: a machine that has other work to do does not matter."""
    times = resource.getrusage(resource.RUSAGE_CHILDREN)
    return times.ru_utime + times.ru_stime


@pytest.mark.parametrize("words", [["--help"], *([name, "--help"] for name in COMMANDS)], ids=" ".join)
def test_help_is_quick_and_imports_nothing_heavy(words):
    code = (
        "import sys; from wheretolook.cli.main import main\n"
        "try: main(sys.argv[1:])\n"
        "except SystemExit: pass\n"
        "print(sorted({'torch', 'pandas', 'numpy', 'PIL', 'matplotlib', 'dvc'} & set(sys.modules)))"
    )
    before = used()
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("Usage:") and done.stdout.splitlines()[-1] == "[]"
    assert used() - before < 0.5


def test_an_unknown_command_is_refused():
    done = CliRunner().invoke(main, ["lok"])
    assert done.exit_code == 2 and "No such command 'lok'" in done.output
