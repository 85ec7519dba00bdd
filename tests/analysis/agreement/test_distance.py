import numpy as np
import pytest

from wheretolook.analysis.agreement.measures import centre_of_mass, cross_distance, distance, model_distances


def test_centre_of_one_cell_is_its_middle_and_negative_cells_do_not_pull() -> None:
    maps = np.zeros((1, 4, 4), dtype=np.float32)
    maps[0, 0, 3], maps[0, 3, 0] = 2, -5
    centre, there = centre_of_mass(maps)
    np.testing.assert_allclose(centre, [[1 / 8, 7 / 8]])
    assert there.all()


def test_map_without_positive_part_has_no_centre() -> None:
    assert not centre_of_mass(-np.ones((1, 3, 3), dtype=np.float32))[1].any()


def test_distance_is_in_widths_of_the_image() -> None:
    corners = np.zeros((2, 2, 2), dtype=np.float32)
    corners[0, 0, 0] = corners[1, 1, 1] = 1
    first, second = (centre_of_mass(corners[i : i + 1]) for i in (0, 1))
    assert distance(first, second) == pytest.approx(np.sqrt(0.5))
    both = centre_of_mass(corners)
    np.testing.assert_allclose(cross_distance(both, both), [[0, np.sqrt(0.5)], [np.sqrt(0.5), 0]])


def test_all_models_are_the_pairs_of_models_one_by_one() -> None:
    centres, others = (centre_of_mass(maps) for maps in np.random.default_rng(0).normal(size=(2, 6, 3, 5, 5)))
    found = model_distances(centres, others)
    wanted = [[np.linalg.norm(centres[0][:, i] - others[0][:, j], axis=-1) for j in range(3)] for i in range(3)]
    np.testing.assert_allclose(found, np.moveaxis(wanted, -1, 0))
