import numpy as np
from scipy.ndimage import convolve, gaussian_filter

from wheretolook.analysis.probing.imputation import LinearImputer
from wheretolook.analysis.probing.infills import BLUR_SD, LARGE, Infiller

SIDE = 40
RNG = np.random.default_rng(0)


def test_imputation_of_a_large_region_is_that_of_the_exact_system_but_for_few_grey_levels() -> None:
    for side in (SIDE, SIDE + 1):
        waves = np.sin(np.arange(side) / 5)
        image = 128 + 60 * np.add.outer(waves, waves)[..., None] * np.array([1.0, 0.5, -1])
        missing = np.zeros((side, side), bool)
        missing[3:-4, 5:-6] = True
        assert missing.mean() > LARGE
        found = Infiller(side).impute(image, missing, None)
        exact = LinearImputer(side).fill(image[None], missing)[0]
        assert np.abs(found - exact)[missing].mean() < 1.5
        assert np.abs(found - exact).max() < 8
        np.testing.assert_array_equal(found[~missing], image[~missing])


def test_a_patch_is_what_its_donor_shows_and_leaves_all_else() -> None:
    image = RNG.uniform(0, 255, (SIDE, SIDE, 3))
    rows, columns = np.mgrid[10:20, 10:20]
    place, donor = (rows * SIDE + columns).ravel(), ((rows + 15) * SIDE + columns + 12).ravel()
    found = Infiller(SIDE).patch(image, place, donor)
    np.testing.assert_allclose(found[13:17, 13:17], image[28:32, 25:29], atol=1)
    outside = np.ones((SIDE, SIDE), bool)
    outside[10:20, 10:20] = False
    np.testing.assert_array_equal(found[outside], image[outside])


def test_blur_takes_nothing_of_the_region_that_it_fills() -> None:
    image = np.full((SIDE, SIDE, 3), 100.0)
    missing = np.zeros((SIDE, SIDE), bool)
    missing[15:22, 15:22] = True
    image[missing] = (255, 0, 0)
    np.testing.assert_allclose(Infiller(SIDE).blur(image, missing), 100)


def test_blur_is_a_gaussian_filter_of_the_pixels_that_are_left() -> None:
    image, missing = RNG.uniform(0, 255, (SIDE, SIDE, 3)), RNG.random((SIDE, SIDE)) < 0.5
    sd, left = BLUR_SD * SIDE, ~missing[..., None]
    total = gaussian_filter(image * left, (sd, sd, 0), mode="constant") + 1e-3 * image[~missing].mean(axis=0)
    mass = gaussian_filter(left.astype(float), (sd, sd, 0), mode="constant") + 1e-3
    expected = np.where(left, image, total / mass)
    np.testing.assert_allclose(Infiller(SIDE).blur(image, missing), expected, rtol=1e-12)


def test_blur_outside_keeps_the_region_and_the_surroundings_colour() -> None:
    image = RNG.uniform(90, 110, (SIDE, SIDE, 3))
    kept = np.zeros((SIDE, SIDE), bool)
    kept[15:22, 15:22] = True
    image[kept] = (255, 0, 0)
    found = Infiller(SIDE).blur_outside(image, kept)
    np.testing.assert_array_equal(found[kept], image[kept])
    np.testing.assert_allclose(found[~kept], 100, atol=3)


def test_relaxing_is_the_weighted_mean_of_the_neighbours_again_and_again() -> None:
    rng = np.random.default_rng(0)
    image, missing = rng.uniform(0, 255, (9, 9, 3)), rng.random((9, 9)) < 0.7
    wanted = image.copy()
    kernel = np.array([[1, 2, 1], [2, 0, 2], [1, 2, 1]]) / 12
    for _ in range(3):
        weight = convolve(np.ones((9, 9)), kernel, mode="constant")[..., None]
        around = convolve(wanted, kernel[..., None], mode="constant") / weight
        wanted = np.where(missing[..., None], around, wanted)
    np.testing.assert_allclose(LinearImputer(9).relax(image, missing, 3), wanted, rtol=1e-12)
