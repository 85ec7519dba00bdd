import numpy as np

from wheretolook.analysis.classes.overlays import difference_maps
from wheretolook.analysis.explained import Target, contrast

RNG = np.random.default_rng(0)
LABELS = np.repeat([0, 1, 2], [3, 4, 6])
ROWS = [np.flatnonzero(k == LABELS) for k in range(3)]


def test_one_fixed_contrast_is_taken_of_the_images_of_both_sides() -> None:
    maps = RNG.normal(size=(13, 3, 2, 2)).astype(np.float32)
    found = difference_maps(Target(maps, LABELS, True), ROWS, [0, 1, 2])
    for k in range(3):
        fixed = contrast(maps, k)
        np.testing.assert_allclose(found[k], fixed[k == LABELS].mean(0) - fixed[k != LABELS].mean(0), atol=1e-6)


def test_of_two_classes_it_is_the_sum_of_their_own_contrasts() -> None:
    maps = RNG.normal(size=(7, 2, 2, 2)).astype(np.float32)
    target = Target(maps, LABELS[:7], True)
    own = [target.true_class(rows).mean(axis=0) for rows in ROWS[:2]]
    np.testing.assert_allclose(difference_maps(target, ROWS[:2], [0, 1]), [own[0] + own[1]], atol=1e-6)


def test_maps_that_know_no_class_are_one_fixed_map_already() -> None:
    maps = RNG.normal(size=(7, 1, 2, 2)).astype(np.float32)
    wanted = maps[ROWS[0], 0].mean(axis=0) - maps[ROWS[1], 0].mean(axis=0)
    target = Target(maps, LABELS[:7], True, knows_class=False)
    np.testing.assert_allclose(difference_maps(target, ROWS[:2], [0, 1]), [wanted], atol=1e-6)


def test_classes_of_which_not_all_maps_are_stored_are_not_set_apart() -> None:
    maps = RNG.normal(size=(13, 3, 2, 2)).astype(np.float32)
    assert difference_maps(Target(maps, LABELS, False, class_count=12), ROWS, [0, 1, 2]) is None
    assert difference_maps(Target(maps, LABELS, True), ROWS[:1], [0]) is None
