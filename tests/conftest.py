"""For every test: the order in which files are handed to the workers of `make test`."""

import pytest

LONGEST_FIRST = ("tests/pipeline/test_repro.py", "tests/pipeline/test_ci.py", "tests/chaos/test_chaos.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take longest, or one worker would end with them alone."""
    order = {name: place for place, name in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: order.get(item.nodeid.partition("::")[0], len(order)))
