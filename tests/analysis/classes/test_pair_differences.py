import numpy as np
import pytest

from wheretolook.analysis.classes.class_differences import PairDifference, pair_differences
from wheretolook.analysis.classes.contributions import Contributions
from wheretolook.analysis.localisation.common_place import share_at_odds

COUNT = 120
OWN = np.arange(COUNT) % 2 == 0
ALONE = np.arange(COUNT)
REGIONS = ("evidence", "mark", "foreground", "background", "unknown")


def model(steps: np.ndarray, grid: tuple[int, int] | None, seed: int) -> Contributions:
    """Contributions that are noise, and in images of the class so much more at each place."""
    rng = np.random.default_rng(seed)
    values = (rng.normal(size=(COUNT, len(steps))) + OWN[:, None] * steps).astype(np.float32)
    share = np.full(len(steps), 1 / len(steps), dtype=np.float32)
    if grid is None:
        share = np.array([0.05, 0.05, 0.4, 0.5, 0.0], dtype=np.float32)
    return Contributions(values, np.broadcast_to(share, values.shape), () if grid else REGIONS, grid)


def places(
    steps: np.ndarray, grid: tuple[int, int] | None = None, groups: np.ndarray = ALONE, ways: tuple[int, ...] = (1, 1)
) -> list[PairDifference]:
    found = {f"m{i}": model(way * steps, grid, i) for i, way in enumerate(ways)}
    return pair_differences(found, OWN, groups, 2.0, 400, 0)


def test_region_with_most_of_the_difference_holds_more_than_its_area_explains() -> None:
    found = {each.region: each for each in places(np.array([3.0, 0, 0.5, 0, 0]))}
    assert list(found) == ["evidence", "mark", "foreground", "background"]
    evidence, background = found["evidence"], found["background"]
    assert max(evidence.p.values()) <= 0.05
    assert evidence.influence(["m0", "m1"])[0] > 0 > background.influence(["m0", "m1"])[0]
    assert evidence.share["m0"] == pytest.approx(0.85, abs=0.2)
    assert evidence.bears


def test_model_that_differs_the_other_way_has_no_p_value_for_more() -> None:
    evidence = places(np.array([3.0, 0, 0, 0, 0]), ways=(1, -1))[0]
    assert (evidence.p["m0"] <= 0.05, evidence.p["m1"]) == (True, 1.0)


def test_influences_have_the_mean_of_the_difference_and_its_spread() -> None:
    evidence = places(np.array([1.0, 0, 0, 0, 0]))[0]
    difference, influence = evidence.influence(["m0"])
    own, rest = (evidence.surplus["m0"][side] for side in (OWN, ~OWN))
    assert difference == pytest.approx(own.mean() - rest.mean())
    assert influence.mean() == pytest.approx(difference)
    assert influence.std() / np.sqrt(COUNT) == pytest.approx(np.sqrt(own.var() / 60 + rest.var() / 60))


def test_cells_that_differ_are_patches_the_largest_first() -> None:
    steps = np.zeros((4, 4))
    steps[0, 1:3], steps[3, 3] = 3, 3
    assert [place.region for place in places(steps.ravel(), (4, 4))] == [
        "2 cells, rows 1, columns 2 to 3 of 4 x 4",
        "1 cell, rows 4, columns 4 of 4 x 4",
    ]
    assert places(np.full(16, 1.0), (4, 4)) == []  # what differs everywhere alike is no place


def test_too_few_relabellings_give_no_differences() -> None:
    assert places(np.ones(5), groups=(~OWN) * 3 + np.arange(COUNT) // 40) == []


def test_share_at_twice_the_odds() -> None:
    assert share_at_odds(np.array([0.02, 0.5, 0.62]), 2.0) == pytest.approx([0.0392, 0.6667, 0.7654], abs=1e-4)
