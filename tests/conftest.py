"""For every test: Ctrl-C as in a terminal, and the order in which files are handed to the workers of `make test`."""

import signal

import pytest

LONGEST_FIRST = ("tests/pipeline/test_repro.py", "tests/pipeline/test_ci.py", "tests/chaos/test_chaos.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take longest, or one worker would end with them alone."""
    order = {name: place for place, name in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: order.get(item.nodeid.partition("::")[0], len(order)))


@pytest.fixture(scope="session", autouse=True)
def _interrupts_count() -> None:
    """A shell that starts the tests in the background has them ignore Ctrl-C, and the processes that they start."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
