import numpy as np
import pytest

from wheretolook.analysis.probing import infills
from wheretolook.analysis.probing.infills import best_like, donor_of, places_like, region_pixels
from wheretolook.base.prepared import BACKGROUND, EVIDENCE, FOREGROUND, MARK


def scene(evidence: tuple[slice, slice] = (slice(10, 15), slice(12, 20))) -> np.ndarray:
    """A thing of 32 x 32 on a background, with evidence on it and a mark in the corner."""
    mask = np.full((48, 48), BACKGROUND, np.uint8)
    mask[8:40, 8:40] = FOREGROUND
    mask[evidence] = EVIDENCE
    mask[42:46, 42:46] = MARK
    return mask


def test_a_region_has_a_rim_of_two_pixels() -> None:
    inside = region_pixels(scene(), "evidence")
    assert inside[8, 15] and inside[16, 15] and not inside[17, 15]
    assert not region_pixels(np.zeros((8, 8), np.uint8), "mark").any()


@pytest.mark.parametrize("region", ["evidence", "mark"])
def test_places_have_the_regions_size_and_touch_neither_region_nor_evidence_nor_mark(region: str) -> None:
    mask = scene()
    places = places_like(mask, region, 6, 0)
    assert len(places.others) == 6
    assert places.others.shape[1] == len(places.region) == region_pixels(mask, region).sum()
    for other in places.others:
        assert len(np.unique(other)) == len(other)
        assert not np.isin(mask.ravel()[other], [EVIDENCE, MARK]).any()
        assert not np.isin(other, places.region).any()


def test_controls_of_evidence_lie_on_the_thing_and_those_of_a_mark_beside_it() -> None:
    mask = scene()
    on_thing = [np.mean(mask.ravel()[other] == FOREGROUND) for other in places_like(mask, "evidence", 6, 0).others]
    beside = [np.mean(mask.ravel()[other] == BACKGROUND) for other in places_like(mask, "mark", 6, 0).others]
    assert min(on_thing) > 0.95
    assert min(beside) > 0.95


def test_a_region_of_over_half_of_the_image_has_no_other_place() -> None:
    mask = scene()
    mask[4:44, 4:44] = FOREGROUND
    assert len(places_like(mask, "foreground", 4, 0).others) == 0


def test_places_follow_the_seed() -> None:
    first, again, other = (places_like(scene(), "evidence", 4, seed).others for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_a_donor_overlaps_neither_the_region_nor_the_place_that_it_fills() -> None:
    places = places_like(scene(), "evidence", 6, 0)
    donor = donor_of(places, places.others[0], 5)
    assert donor is not None
    assert not np.isin(donor, places.others[0]).any()
    assert donor_of(places, places.others[0], 0) is None


def test_the_best_look_alike_place_is_the_highest_mean_of_the_map_under_the_turned_shape() -> None:
    scores = np.zeros((12, 12))
    scores[3:8, 5] = 1  # upright, where the shape lies on its side
    shape = np.stack([np.zeros(5, int), np.arange(5)], axis=1)
    assert set(best_like(scores, shape)) == {12 * y + 5 for y in range(3, 8)}
    forbidden = scores > 0
    assert not set(best_like(scores, shape, forbidden)) & {12 * y + 5 for y in range(3, 8)}
    assert best_like(scores, np.array([[0, 0], [0, 12]])) is None


def test_rounding_errors_of_sums_do_not_choose_the_places(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 175 pixels, 3.5 may lie outside the surroundings: 4 is the limit, which a sum of 4 + 1e-9 must not exceed."""
    mask = scene((slice(10, 17), slice(14, 27)))
    mask[30, 28:32] = BACKGROUND
    assert len(places_like(mask, "evidence", 1, 0).region) == 175
    overlap, found = infills._overlap, []
    for error in (0.0, 1e-9, -1e-9):
        monkeypatch.setattr(infills, "_overlap", lambda *args, error=error: overlap(*args) + error)
        found.append(places_like(mask, "evidence", 500, 0).others)
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])
    assert (np.isin(found[0], 30 * 48 + np.arange(28, 32)).sum(axis=1) == 4).any()
