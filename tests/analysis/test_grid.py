import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wheretolook.analysis.grid import area_weights, common_grid, to_grid


def test_halving_takes_the_mean_of_four_cells() -> None:
    np.testing.assert_array_equal(to_grid(np.array([[1.0, 3.0], [5.0, 7.0]]), (1, 1)), [[4.0]])


def test_three_cells_to_two_share_the_middle_one() -> None:
    np.testing.assert_allclose(area_weights(3, 2), [[2 / 3, 1 / 3, 0], [0, 1 / 3, 2 / 3]])


@given(st.integers(1, 40), st.integers(1, 40))
def test_coarse_cells_are_means_and_totals_are_kept(fine: int, coarse: int) -> None:
    if coarse > fine:
        with pytest.raises(ValueError, match="expected a grid of 1 to"):
            area_weights(fine, coarse)
        return
    weights = area_weights(fine, coarse)
    np.testing.assert_allclose(weights.sum(axis=1), 1)
    np.testing.assert_allclose(weights.sum(axis=0), coarse / fine)


def test_common_grid_is_the_coarser_axis_by_axis() -> None:
    assert common_grid((14, 7), (7, 14)) == (7, 7)
