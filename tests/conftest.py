"""For every test: Ctrl-C as in a terminal; for `make test`: the order of files, and its time over a yardstick."""

import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

BEGAN = pytest.StashKey[float]()
LONGEST_FIRST = (
    *("tests/chaos/test_chaos.py", "tests/pipeline/test_repro.py", "tests/pipeline/test_ci.py"),
    *("tests/pipeline/test_drive_folder_study.py", "tests/project/test_fan_out.py"),
    *("tests/project/test_plan.py", "tests/chaos/test_faults.py", "tests/networks/runtime/test_ranks.py"),
    *("tests/stages/test_report.py", "tests/analysis/test_simulations.py", "tests/report/test_browser_use.py"),
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take longest, or one worker would end with them alone."""
    order = {name: place for place, name in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: order.get(item.nodeid.partition("::")[0], len(order)))


@pytest.fixture(scope="session", autouse=True)
def _interrupts_count() -> None:
    """A shell that starts the tests in the background has them ignore Ctrl-C, and the processes that they start."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def forks() -> Iterator[dict[str, str]]:
    """What a project's environment needs so that its commands of DVC and its stages start as forks of one process."""
    from tests.pipeline.forks import fork_server

    with tempfile.TemporaryDirectory(prefix="wtl-") as folder, fork_server(Path(folder)) as variables:
        yield variables


def pytest_sessionstart(session: pytest.Session) -> None:
    session.config.stash[BEGAN] = time.monotonic()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Where workers ran, print the time of all tests over that of fixed work, so that two machines compare."""
    if not getattr(config.option, "numprocesses", None):
        return
    took = time.monotonic() - config.stash[BEGAN]
    product, imported = min(seconds_of_a_product() for _ in range(3)), min(seconds_of_an_import() for _ in range(3))
    yardstick = product + imported
    terminalreporter.write_line(
        f"yardstick: {yardstick:.2f} s (matrix product {product:.2f} s, import of torch {imported:.2f} s); "
        f"the tests took {took:.0f} s, {took / yardstick:.0f} times that"
    )


def seconds_of_a_product() -> float:
    """Time of ten products of 1,000 x 1,000 numbers."""
    matrix = np.random.default_rng(0).random((1000, 1000))
    began = time.perf_counter()
    for _ in range(10):
        matrix @ matrix
    return time.perf_counter() - began


def seconds_of_an_import() -> float:
    """Time of a Python that imports torch."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import torch"], check=True)
    return time.perf_counter() - began
