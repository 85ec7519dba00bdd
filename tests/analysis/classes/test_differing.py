import numpy as np
import pytest

from wheretolook.analysis.classes.contributions import Contributions
from wheretolook.analysis.classes.differences import Difference, difference, found_cells
from wheretolook.analysis.classes.differing import Differing, differing_places

COUNT = 120
OWN = np.arange(COUNT) % 2 == 0
LABELS = (~OWN).astype(np.int64)
ALONE = np.arange(COUNT)
REGIONS = ("evidence", "mark", "foreground", "background", "unknown")


def held_against(steps: np.ndarray, grid: tuple[int, int] | None, seed: int, groups: np.ndarray = ALONE) -> Difference:
    """A model whose contributions are noise, and in images of the class so much more at each place."""
    rng = np.random.default_rng(seed)
    values = (rng.normal(size=(COUNT, len(steps))) + OWN[:, None] * steps).astype(np.float32)
    share = np.full(len(steps), 1 / len(steps), dtype=np.float32)
    if grid is None:
        share = np.array([0.05, 0.05, 0.4, 0.5, 0.0], dtype=np.float32)
    area = np.broadcast_to(share, values.shape)
    contributions = Contributions(values, area, () if grid else REGIONS, grid)
    return difference({0: contributions}, LABELS, groups, 400, 0)


def places(steps: np.ndarray, grid: tuple[int, int] | None = None, models: int = 3) -> list[Differing]:
    found = {f"m{i}": held_against(steps, grid, i) for i in range(models)}
    return differing_places(found, 0, dict.fromkeys(found, 1.0), OWN, ALONE, 199, 0)


def test_region_with_most_of_the_difference_is_found_beyond_its_area() -> None:
    evidence, mark, foreground, background = places(np.array([3.0, 0, 0.5, 0, 0]))
    assert [evidence.region, mark.region, foreground.region] == ["evidence", "mark", "foreground"]
    assert evidence.p <= 0.05
    assert evidence.beyond_its_area
    assert evidence.p_seeds is None
    assert mark.p > 0.05
    assert not background.beyond_its_area
    assert not foreground.beyond_its_area
    assert all(0.5 < share < 1.1 for share in evidence.shares.values())


def test_one_model_that_differs_the_other_way_spoils_the_consensus() -> None:
    found = {f"m{i}": held_against(np.array([way * 3.0, 0, 0, 0, 0]), None, i) for i, way in enumerate((1, 1, -1))}
    evidence = differing_places(found, 0, dict.fromkeys(found, 1.0), OWN, ALONE, 199, 0)[0]
    assert evidence.p == 1.0
    assert not evidence.beyond_its_area


def test_cells_are_told_as_connected_patches_the_largest_first() -> None:
    steps = np.zeros((4, 4))
    steps[0, 1:3], steps[3, 3] = 3, 3
    found = places(steps.ravel(), (4, 4))
    assert [place.place for place in found] == [
        "2 cells in rows 1 and columns 2 to 3 of 4 by 4",
        "1 cell in rows 4 and columns 4 of 4 by 4",
    ]
    assert all(place.beyond_its_area and place.p <= 0.05 for place in found)
    assert found[0].area == pytest.approx(2 / 16)


def test_class_that_differs_everywhere_alike_differs_at_no_place() -> None:
    assert places(np.full(16, 1.0), (4, 4)) == []
    cells = found_cells(held_against(np.full(16, 1.0), (4, 4), 0), 0)
    assert cells["more"]["cells"] == 16
    assert cells["more"]["patches"][0]["rows"] == [1, 4]


def test_six_models_are_tested_over_their_seeds() -> None:
    evidence, mark, *_ = places(np.array([3.0, 0, 0, 0, 0]), models=6)
    assert evidence.p_seeds == pytest.approx(2 / 2**6)
    assert mark.p_seeds > 0.05


def test_too_few_relabellings_give_no_p_value() -> None:
    found = held_against(np.ones(16), (4, 4), 0, groups=LABELS * 3 + np.arange(COUNT) // 40)
    assert found.test.p is None
    assert found.test.permutations == 0
    assert found_cells(found, 0) is None


def test_lower_end_of_what_lies_beyond_the_area_holds_the_truth() -> None:
    """The step at the evidence is 0.5, of a total of 0.5: beyond twice its area of 0.05 lie 0.45 logits."""
    above = 0
    for seed in range(150):
        found = {"one": held_against(np.array([0.5, 0, 0, 0, 0]), None, seed)}
        place = differing_places(found, 0, {"one": 1.0}, OWN, ALONE, 199, seed)[0]
        above += place.surplus_low["one"] > 0.45
    assert above / 150 <= 0.025 + 3 * np.sqrt(0.025 * 0.975 / 150)
