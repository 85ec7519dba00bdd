import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from wheretolook.analysis.grid import centre_prior, regions_on_grid
from wheretolook.analysis.localisation.energy import (
    THRESHOLDS,
    area_share,
    area_under_roc,
    average_precision,
    best_threshold,
    energy_ceiling,
    energy_inside,
    pointing_chance,
    pointing_hits,
    rank_cells,
    thresholded_iou,
)
from wheretolook.analysis.localisation.localise import class_figures, image_figures

MASK = np.array([[[2, 0, 0, 0], [0, 0, 0, 0], [1, 1, 255, 255], [3, 1, 255, 255]]], dtype=np.uint8)
REGIONS = regions_on_grid(MASK, (2, 2))
MAP = np.array([[[4.0, 2.0], [-2.0, 6.0]]], dtype=np.float32)


def test_masks_become_exact_area_fractions() -> None:
    np.testing.assert_array_equal(REGIONS.evidence, [[[0.25, 0], [0, 0]]])
    np.testing.assert_array_equal(REGIONS.mark, [[[0, 0], [0.25, 0]]])
    np.testing.assert_array_equal(REGIONS.foreground, [[[0.25, 0], [0.75, 0]]])
    np.testing.assert_array_equal(REGIONS.known, [[[1, 1], [1, 0]]])


def test_energy_and_area_by_hand_and_unknown_pixels_count_nowhere() -> None:
    share, defined = energy_inside(MAP, REGIONS.evidence, REGIONS.known)
    assert share == pytest.approx(1 / 6)  # 4 * 0.25 of 4 + 2: the highest cell is unknown
    assert defined.all()
    assert area_share(REGIONS.evidence, REGIONS.known) == pytest.approx(1 / 12)
    assert energy_ceiling(REGIONS.evidence, REGIONS.known) == pytest.approx(0.25)
    assert energy_inside(-MAP, REGIONS.mark, REGIONS.known)[0] == pytest.approx(0.25)


def test_even_map_has_the_area_share_in_energy() -> None:
    even = np.ones((1, 2, 2), dtype=np.float32)
    assert energy_inside(even, REGIONS.foreground, REGIONS.known)[0] == area_share(REGIONS.foreground, REGIONS.known)


def test_map_without_positive_part_has_no_energy() -> None:
    assert not energy_inside(-np.abs(MAP), REGIONS.evidence, REGIONS.known)[1].any()


def test_pointing_takes_the_highest_known_cell_and_shares_ties() -> None:
    assert pointing_hits(MAP, REGIONS.evidence, REGIONS.known) == 1
    assert pointing_hits(-MAP, REGIONS.evidence, REGIONS.known) == 0
    assert pointing_hits(np.ones((1, 2, 2)), REGIONS.evidence, REGIONS.known) == pytest.approx(1 / 3)
    assert pointing_chance(REGIONS.evidence, REGIONS.known) == pytest.approx(1 / 3)


def test_centre_prior_is_symmetric_and_highest_in_the_middle() -> None:
    prior = centre_prior((5, 7))
    np.testing.assert_allclose(prior, prior[::-1, ::-1])
    assert prior.argmax() == 17
    assert prior[2, 3] == 1


def test_image_of_unknown_pixels_alone_counts_in_no_region() -> None:
    masks = np.stack([MASK[0], np.full((4, 4), 255, np.uint8)])
    found = image_figures(np.repeat(MAP, 2, axis=0), regions_on_grid(masks, (2, 2)))
    figures = class_figures(found, np.arange(2), None, 199, 0)
    assert figures["images"] == 2
    assert figures["evidence_images"] == 1
    assert figures["area_share"] == pytest.approx(1 / 12)
    assert figures["energy_ratio"] == pytest.approx(2)
    assert figures["energy_low"] is None


def test_region_that_no_image_has_is_none_and_not_zero() -> None:
    masks = np.where(MASK == 3, 0, MASK)
    figures = class_figures(image_figures(MAP, regions_on_grid(masks, (2, 2))), np.arange(1), None, 199, 0)
    assert figures["mark_images"] == 0
    assert figures["mark_energy"] is figures["mark_ratio"] is figures["mark_area_share"] is None


def test_ranking_is_scikit_learns_of_the_pixels() -> None:
    rng = np.random.default_rng(0)
    maps = np.round(rng.normal(size=(6, 4, 4)), 1).astype(np.float32)  # with ties
    masks = rng.choice([0, 2, 255], size=(6, 12, 12)).astype(np.uint8)
    regions = regions_on_grid(masks, (4, 4))
    ranking = rank_cells(maps, regions.evidence, regions.known)
    auroc, precision = area_under_roc(ranking), average_precision(ranking)
    for i in range(6):
        pixels, labels = np.kron(maps[i], np.ones((3, 3)))[masks[i] != 255], (masks[i] == 2)[masks[i] != 255]
        assert auroc[i] == pytest.approx(roc_auc_score(labels, pixels), abs=1e-6)
        assert precision[i] == pytest.approx(average_precision_score(labels, pixels), abs=1e-6)


def test_iou_by_hand_at_the_threshold_that_does_best_on_other_images() -> None:
    maps = np.array([[[1.0, 0.5], [0.2, -3.0]]], dtype=np.float32)
    inside = np.array([[[1, 1], [0, 0]]], dtype=np.float32)
    iou = thresholded_iou(rank_cells(maps, inside, np.ones_like(inside)))
    by_threshold = dict(zip(THRESHOLDS, iou[0], strict=True))
    assert by_threshold[0.1] == pytest.approx(2 / 3)
    assert by_threshold[0.5] == 1
    assert by_threshold[0.95] == 0.5
    assert THRESHOLDS[best_threshold(iou)] == 0.25
    assert best_threshold(iou[:0]) is None


def test_no_image_with_evidence_has_no_ranking() -> None:
    none = np.zeros((0, 2, 2), dtype=np.float32)
    assert len(thresholded_iou(rank_cells(none, none, none))) == 0
