"""Whether networks of one recipe look at a class in one way or in several, on maps with a planted answer."""

import numpy as np
import pytest

from benchmarks.basins import IMAGES, find, maps_of, planted
from wheretolook.analysis.agreement.correlated import Counted
from wheretolook.analysis.results.schema import checked
from wheretolook.analysis.results.statement import Basins
from wheretolook.analysis.statements import recipes
from wheretolook.analysis.statements.pooled import Findings, Sampling
from wheretolook.analysis.statements.recipes import basin_nulls, basins_of, divide, explained


@pytest.fixture(autouse=True)
def _fewer_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recipes, "BASIN_DRAWS", 99)


@pytest.mark.parametrize("models", [6, 10])
def test_two_cues_give_two_basins_with_their_models(models: int) -> None:
    for seed in range(5):
        found = find(maps_of("two cues", models, seed))
        assert found is not None
        assert found.several
        assert found.basins == planted(models)
        assert found.within > found.between
        assert found.gap_low is not None
        assert found.gap_low > 0
        assert found.recall[1] - found.recall[0] == pytest.approx(0.04 * (models // 2))


@pytest.mark.parametrize("kind", ["one cue", "one cue in degrees", "one model apart", "some models noisier"])
def test_one_basin_is_not_divided(kind: str) -> None:
    """16 studies: at a true rate of 1 % two false divisions have a probability of 0.01, at 20 % of 0.86."""
    false = sum(found.several for seed in range(16) if (found := find(maps_of(kind, 8, seed))))
    assert false <= 1


def test_p_values_count_the_tests() -> None:
    found = find(maps_of("two cues", 6, 0), tests=10)
    assert found is not None
    assert not found.several, "99 draws give no p-value of 0.001"
    assert found.basins == [[f"m{i}" for i in range(6)]]


def test_division_by_hand() -> None:
    # Two pairs, 1 apart inside and 4 across: squared distances of (0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3).
    distances = np.array([1.0, 4, 4, 4, 4, 1])
    side = divide(distances)
    assert side[0] == side[1] != side[2] == side[3]
    assert explained(distances, 4) == pytest.approx(18 / 4 - (1 / 2 + 1 / 2))
    assert basin_nulls(np.ones(6), 4, np.random.default_rng(0)) == (1.0, 1.0)


def test_nothing_is_said_of_few_images_or_pairs_that_are_missing() -> None:
    maps = maps_of("two cues", 6, 0)
    assert find(maps[:19]) is None
    found = Findings(
        "A", np.arange(IMAGES), {}, [("m0", "m1")], Counted(np.ones((IMAGES, 1)), np.ones((IMAGES, 1), bool))
    )
    assert basins_of(found, ["m0", "m1", "m2"], [""] * IMAGES, 1, Sampling(199, 0)) is None


def test_result_fits_the_schema() -> None:
    found = find(maps_of("two cues", 6, 1))
    assert found is not None
    assert checked(Basins, vars(found)) == found
    assert len(found.examples) == 5
