import numpy as np
import pytest
import torch

from wheretolook.analysis.explained import contrast, contrast_with_mean, contrast_with_rivals
from wheretolook.cams.methods.gradients import finer_cam, finer_cam_of_chosen, with_references

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


def test_finer_cam_is_with_the_nearest_classes() -> None:
    logits = np.array([[1.0, 3.0, 3.5, -20.0], [0.0, 0.0, 9.0, 0.5]], dtype=np.float32)
    maps, index = np.random.default_rng(4).normal(size=(2, 4, 2, 2)).astype(np.float32), np.array([1, 3])
    nearest = finer_cam(maps, index, logits, references=1, alpha=0.5)
    np.testing.assert_allclose(nearest, [maps[0, 1] - maps[0, 2] / 2, maps[1, 3] - maps[1, 0] / 2], atol=1e-6)
    two = finer_cam(maps[:, :2], index % 2, logits[:, :2])
    np.testing.assert_allclose(two, contrast(maps[:, :2], index % 2), atol=1e-6)


def test_finer_cam_needs_the_maps_of_a_class_and_its_references_alone() -> None:
    rng = np.random.default_rng(5)
    for classes in (2, 3, 7):
        maps, logits = rng.normal(size=(4, classes, 3, 3)).astype(np.float32), rng.normal(size=(4, classes))
        logits = logits.astype(np.float32)
        own = np.stack([logits.argmax(1), logits.argmin(1)], 1)
        chosen = with_references(lambda logits, rows, own=own: torch.from_numpy(own))(
            torch.from_numpy(logits), slice(0, 4)
        ).numpy()
        found = finer_cam_of_chosen(np.take_along_axis(maps, chosen[:, :, None, None], 1), chosen, logits)
        for k in range(2):
            np.testing.assert_allclose(found[:, k], finer_cam(maps, own[:, k], logits), atol=1e-5)
