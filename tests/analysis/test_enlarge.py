import numpy as np
import torch

from wheretolook.analysis.grid import enlarge


def test_enlarging_is_torchs_bilinear_interpolation() -> None:
    maps = np.random.default_rng(0).normal(size=(2, 7, 5))
    wanted = torch.nn.functional.interpolate(torch.from_numpy(maps)[None], size=(20, 20), mode="bilinear")[0]
    np.testing.assert_allclose(enlarge(maps, 20), wanted.numpy(), atol=1e-12)


def test_a_map_drawn_larger_meets_its_cells_and_runs_straight_between_their_middles() -> None:
    drawn = enlarge(np.array([[[0.0, 4.0]]]), 4)
    np.testing.assert_allclose(drawn, [[[0, 1, 3, 4]] * 4])


def test_a_constant_map_stays_constant() -> None:
    np.testing.assert_allclose(enlarge(np.full((1, 3, 5), 2.5), 17), 2.5)
