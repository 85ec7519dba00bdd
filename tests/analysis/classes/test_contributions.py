import numpy as np

from wheretolook.analysis.classes.contributions import REGIONS, beyond_surroundings, by_region
from wheretolook.analysis.explained import Target
from wheretolook.base.prepared import EVIDENCE, FOREGROUND, MARK


def contributions_of(level: float) -> np.ndarray:
    """Three images of 4 x 4: evidence and mark; no evidence; evidence on the bare background."""
    masks = np.zeros((3, 4, 4), np.uint8)
    masks[0, 1:3, 1:3], masks[1, 1:3, 1:3] = FOREGROUND, FOREGROUND
    masks[0, 1, 1], masks[0, 3, 3], masks[2, 0, 0] = EVIDENCE, MARK, EVIDENCE
    maps = np.full((3, 4, 4), 1.0) + level
    maps[0, 1, 1] += 8  # eight beyond the rest of the foreground
    maps[0, 3, 3] += 2
    target = Target(np.stack([maps, -maps], axis=1).astype(np.float32) / 2, np.array([0, 1, 0]), every_class=True)
    return by_region(target, np.arange(3), 0, masks).values


def test_evidence_and_mark_have_what_they_have_beyond_their_surroundings() -> None:
    found = dict(zip(REGIONS, contributions_of(0).T, strict=True))
    np.testing.assert_allclose(found["evidence"], [8 / 16, 0, 0], atol=1e-6)
    np.testing.assert_allclose(found["mark"], [2 / 16, 0, 0], atol=1e-6)
    np.testing.assert_allclose(found["foreground"], [4 / 16, 4 / 16, 0], atol=1e-6)
    np.testing.assert_allclose(found["background"], [12 / 16, 12 / 16, 1], atol=1e-6)


def test_they_do_not_depend_on_the_maps_zero_and_sums_stay_those_of_the_maps() -> None:
    low, high = contributions_of(0), contributions_of(5)
    np.testing.assert_allclose(low[:, :2], high[:, :2], atol=1e-5)
    np.testing.assert_allclose(high.sum(axis=1) - low.sum(axis=1), 5, atol=1e-5)


def test_without_any_surroundings_nothing_is_taken_off() -> None:
    values = np.array([[3.0, 0, 0, 0, 0]])
    np.testing.assert_array_equal(beyond_surroundings(values, np.array([[1.0, 0, 0, 0, 0]])), values)
