import numpy as np
import pytest

from wheretolook.analysis.explained import contrast, contrast_with_mean, contrast_with_rivals

MAPS = np.random.default_rng(0).normal(size=(5, 3, 4, 4)).astype(np.float32)


def test_two_classes_give_the_map_of_the_log_odds() -> None:
    np.testing.assert_allclose(contrast(MAPS[:, :2], 1), MAPS[:, 1] - MAPS[:, 0], atol=1e-6)


def test_what_is_common_to_all_classes_changes_nothing() -> None:
    common = np.random.default_rng(1).normal(size=(5, 1, 4, 4)).astype(np.float32)
    index = np.array([0, 1, 2, 0, 1])
    np.testing.assert_allclose(contrast(MAPS + common, index), contrast(MAPS, index), atol=1e-5)


def test_contrasts_of_all_classes_cancel() -> None:
    total = sum(contrast(MAPS, k) for k in range(3))
    np.testing.assert_allclose(total, 0, atol=1e-5)


def test_contrast_map_averages_to_the_contrast_of_logits() -> None:
    logits = MAPS.mean(axis=(2, 3))
    np.testing.assert_allclose(
        contrast(MAPS, 2).mean(axis=(1, 2)), logits[:, 2] - logits[:, :2].mean(axis=1), atol=1e-6
    )


def test_one_class_has_no_contrast() -> None:
    with pytest.raises(ValueError, match="two classes or more"):
        contrast(MAPS[:, :1], 0)


def test_contrast_from_the_mean_is_that_from_all_classes() -> None:
    maps = np.random.default_rng(0).normal(size=(6, 5, 2, 3)).astype(np.float32)
    wanted = contrast(maps, 3)
    np.testing.assert_allclose(contrast_with_mean(maps[:, 3], maps.mean(axis=1), 5), wanted, atol=1e-6)


def test_contrast_with_rivals_is_with_the_runner_up_and_the_map_of_the_log_odds() -> None:
    rng = np.random.default_rng(3)
    maps, index = rng.normal(size=(2, 3, 4, 4)).astype(np.float32), np.array([0, 2])
    logits = np.array([[5.0, 3.0, -40.0], [-40.0, 1.0, 2.0]], dtype=np.float32)
    found = contrast_with_rivals(maps, index, logits)
    np.testing.assert_allclose(found, [maps[0, 0] - maps[0, 1], maps[1, 2] - maps[1, 1]], atol=1e-6)
    even = contrast_with_rivals(maps, index, np.zeros((2, 3), dtype=np.float32))
    np.testing.assert_allclose(even, contrast(maps, index), atol=1e-6)
    two = rng.normal(size=(2, 2, 4, 4)).astype(np.float32)
    np.testing.assert_array_equal(contrast_with_rivals(two, index % 2, logits[:, :2]), contrast(two, index % 2))
