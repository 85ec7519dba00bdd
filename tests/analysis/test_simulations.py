"""A short form of `make simulate`: what the statistics promise, held against simulations whose truth is known."""

import numpy as np
import pytest

from benchmarks.simulate import STUDIES

RUNS = 60


@pytest.mark.parametrize("name", STUDIES)
def test_statistics_keep_their_promises(name: str) -> None:
    study, (low, high) = STUDIES[name]
    rate = np.mean([study(seed) for seed in range(RUNS)])
    # So few runs scatter: what is allowed here is what is promised, and three standard errors.
    assert low - 3 * np.sqrt(low * (1 - low) / RUNS) <= rate <= high + 3 * np.sqrt(high * (1 - high) / RUNS)
