"""Loaders meet changed files: each ends well or with a refusal, and no file stands outside.

The long form is benchmarks/fuzz.py.
"""

import sys

import pytest

from tests.fuzzing.campaign import campaign

TRIES = {"archives": 200, "images": 200, "model files": 40, "state dicts": 12}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.skipif(sys.platform == "win32", reason="forks")
@pytest.mark.parametrize("name", TRIES)
def test_nothing_escapes_but_refusals(name: str) -> None:
    outcome = campaign(name, TRIES[name], start=20)
    assert list(outcome.escapes.values()) == []
    assert sum(outcome.ended.values()) >= 0.9 * TRIES[name]
    assert outcome.ended["refused"] > outcome.ended["loaded"] * 0.2
