import numpy as np
import pytest

from wheretolook.analysis.grid import RunningMoments


def test_blocks_of_any_size_give_numpys_mean_and_spread() -> None:
    arrays = np.random.default_rng(0).normal(1000, 1, (37, 3, 2)).astype(np.float32)
    moments = RunningMoments((3, 2))
    for block in (arrays[:1], arrays[1:1], arrays[1:20], arrays[20:]):
        moments.add(block)
    np.testing.assert_allclose(moments.mean(), arrays.astype(np.float64).mean(axis=0), rtol=1e-7)
    np.testing.assert_allclose(moments.spread(), arrays.astype(np.float64).std(axis=0, ddof=1), rtol=1e-6)


def test_too_few_arrays_have_no_spread() -> None:
    moments = RunningMoments((1,))
    with pytest.raises(ValueError, match="mean of no arrays"):
        moments.mean()
    moments.add(np.ones((1, 1)))
    with pytest.raises(ValueError, match="spread of 1"):
        moments.spread()
