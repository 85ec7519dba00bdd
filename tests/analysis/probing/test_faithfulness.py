import numpy as np
import pytest
import torch
from pytorch_grad_cam.metrics.road import NoisyLinearImputer

from wheretolook.analysis.probing.faithfulness import (
    another_of_class,
    choose_images,
    class_faithfulness,
    evidence_pixels,
    filled_images,
    first_pixels,
    log_odds,
    pixel_ranks,
    pixels_of,
    removals_of,
)
from wheretolook.analysis.probing.imputation import LinearImputer, fill_from_frame

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (3, 12, 12, 3), dtype=np.uint8)


@pytest.mark.filterwarnings("ignore:__array_wrap__:DeprecationWarning")  # the peer's own
def test_filling_is_that_of_pytorch_grad_cams_road() -> None:
    missing = RNG.random((12, 12)) < 0.4
    missing[:4, :5] = True  # also a block, at a corner
    image = torch.from_numpy(IMAGES[0].astype(np.float32)).permute(2, 0, 1)
    wanted = NoisyLinearImputer(noise=0)(image, torch.from_numpy((~missing).astype(np.float32)))
    found = LinearImputer(12).fill(IMAGES[:1], missing)[0]
    np.testing.assert_allclose(found, wanted.permute(1, 2, 0).numpy(), atol=1e-2)
    np.testing.assert_array_equal(found[~missing], IMAGES[0][~missing])


def test_filling_from_the_frame_solves_the_same_system_at_once() -> None:
    gone = np.zeros((12, 12), bool)
    gone[1:-1, 1:-1] = True
    np.testing.assert_allclose(fill_from_frame(IMAGES), LinearImputer(12).fill(IMAGES, gone), atol=1e-9)


def test_even_image_stays_even() -> None:
    even = np.full((1, 8, 8, 3), 77, dtype=np.uint8)
    missing = np.ones((8, 8), bool)
    missing[3, 3] = False
    np.testing.assert_allclose(LinearImputer(8).fill(even, missing), 77)


def test_highest_pixel_goes_first_and_ties_have_no_side() -> None:
    np.testing.assert_array_equal(pixel_ranks(np.array([[[1.0, 4.0], [2.0, 3.0]]]), 0), [[[3, 0], [2, 1]]])
    even = pixel_ranks(np.zeros((1, 10, 10)), 0)[0]
    assert sorted(even.ravel()) == list(range(100))
    assert 30 < even[:5].mean() < 70


def test_first_pixels_are_the_highest_and_equally_many_and_ties_have_no_side() -> None:
    scores = np.stack([np.arange(100.0).reshape(10, 10), np.zeros((10, 10))])
    chosen = first_pixels(scores, 0.1, 0)
    assert chosen[0, 9].all()
    np.testing.assert_array_equal(chosen.sum(axis=(1, 2)), [10, 10])
    assert chosen[1, 5:].any()


def test_first_pixels_are_those_that_a_whole_sort_puts_first() -> None:
    scores = RNG.integers(0, 5, (4, 9, 9)).astype(np.float64)  # with ties
    for fraction in (0.0, 0.1, 0.37, 1.0):
        np.testing.assert_array_equal(first_pixels(scores, fraction, 3), pixel_ranks(scores, 3) < round(fraction * 81))


def test_evidence_is_taken_out_with_its_rim_and_never_more_than_the_share() -> None:
    inside = np.zeros((2, 20, 20), bool)
    inside[0, 10, 10] = inside[1, :10] = True
    chosen = evidence_pixels(inside, 0.1, 0)
    assert chosen[0].sum() == 13  # all within two pixels
    assert chosen[1].sum() == 40
    assert (inside[1] | ~chosen[1]).all()


def test_log_odds_by_hand() -> None:
    logits = np.array([[2.0, 0.0], [1.0, 4.0]])
    np.testing.assert_allclose(log_odds(logits, np.array([0, 0])), [2, -3])
    three = np.array([[1.0, 0.0, 0.0]])
    assert log_odds(three, np.array([0]))[0] == pytest.approx(1 - np.log(2))


def test_class_that_keeps_its_score_when_filled_is_undefined() -> None:
    count = 30
    sure, lost = np.tile([4.0, 0.0], (count, 1)), np.tile([-4.0, 0.0], (count, 1))
    noise = RNG.normal(0, 0.1, (count, 2))
    logits = {"cam": lost + noise, "random": sure, "whole": sure, "filled": lost}
    labels, groups = np.zeros(count, int), np.arange(count)
    found = class_faithfulness(logits, labels, groups, 199, 0)
    assert not found["undefined"]
    assert found["gaps"]["random"]["score"]["low"] > 0.9
    assert "evidence" not in found["removed"]
    assert class_faithfulness(logits | {"filled": sure}, labels, groups, 199, 0)["undefined"]


def test_gap_of_evidence_is_positive_where_the_evidence_takes_more_than_the_map() -> None:
    sure, lost = np.tile([4.0, 0.0], (30, 1)), np.tile([-4.0, 0.0], (30, 1))
    logits = {"cam": sure, "evidence": lost + RNG.normal(0, 0.1, (30, 2)), "whole": sure, "filled": lost}
    found = class_faithfulness(logits, np.zeros(30, int), np.arange(30), 199, 0)
    assert found["gaps"]["evidence"]["log_odds"]["low"] > 7


def test_of_more_classes_than_images_some_are_drawn_and_give_one_each() -> None:
    labels = np.repeat(np.arange(1000), 2)
    chosen = choose_images(labels, np.arange(2000), 12, 1000, 0)
    assert len(chosen) == len(set(labels[chosen])) == 12
    assert labels[chosen].max() > 500  # and not those that come first
    few = choose_images(labels, chosen, 4, 1000, 0)
    assert len(few) == 4
    assert set(few) <= set(chosen)
    assert list(choose_images(labels, chosen, 4, 1000, 0)) == list(few)
    assert len(choose_images(labels, np.zeros(0, int), 4, 1000, 0)) == 0


def test_images_are_drawn_equally_from_the_classes_and_another_is_of_the_class() -> None:
    labels = np.array([0] * 50 + [1] * 5)
    chosen = choose_images(labels, np.arange(55), 20, 2, 0)
    assert (labels[chosen] == 0).sum() == 10
    assert (labels[chosen] == 1).sum() == 5
    groups = np.arange(55) // 5
    other = another_of_class(labels, groups)
    assert (labels[other] == labels).all()
    assert (groups[other] != groups)[labels == 0].all()


def test_partners_are_of_another_group_however_unequal_groups_are_and_one_image_has_none() -> None:
    labels, groups = np.array([0, 0, 0, 0, 1]), np.array([7, 7, 7, 8, 9])
    other = another_of_class(labels, groups)
    np.testing.assert_array_equal(other[:3], 3)
    assert other[3] in (0, 1, 2)
    assert other[4] == 4
    maps = RNG.normal(size=(5, 4, 4)).astype(np.float32)
    np.testing.assert_array_equal(pixels_of(maps, None, labels, groups, 12, 0)["other"][0], [0, 1, 2, 3])


def test_every_kind_is_filled_in_and_evidence_only_where_there_is_some() -> None:
    masks = np.zeros((3, 12, 12), np.uint8)
    masks[1, 2:4, 2:4] = 2
    maps = RNG.normal(size=(3, 4, 4)).astype(np.float32)
    pixels = pixels_of(maps, masks, np.array([0, 0, 0]), np.arange(3), 12, 0)
    removals = removals_of(pixels)
    filled = filled_images(LinearImputer(12), IMAGES, removals, 0)
    for (_, i, gone), image in zip(removals, filled, strict=True):
        np.testing.assert_array_equal((image != IMAGES[i]).any(axis=2) & ~gone, False)
    assert sorted((kind, i) for kind, i, _ in removals) == sorted(
        [(kind, i) for kind in ("cam", "random", "other", "centre") for i in range(3)] + [("evidence", 1)]
    )
