import numpy as np
import pandas as pd
import pytest

from wheretolook.analysis.grid import Regions
from wheretolook.analysis.localisation.common_place import by_attribute, joined, odds_ratio, on_regions
from wheretolook.analysis.localisation.localise import Sample


def regions(evidence: np.ndarray, foreground: np.ndarray | None = None) -> Regions:
    none = np.zeros_like(evidence)
    return Regions(np.ones_like(evidence), evidence, none, evidence if foreground is None else foreground)


def square(count: int, size: int) -> np.ndarray:
    """Objects in the middle of a 7 x 7 grid: (n, 7, 7) float32."""
    inside = np.zeros((count, 7, 7), np.float32)
    start = (7 - size) // 2
    inside[:, start : start + size, start : start + size] = 1
    return inside


def test_no_constant_added_to_a_map_changes_a_figure() -> None:
    maps = np.random.default_rng(0).normal(size=(5, 7, 7)).astype(np.float32) + 3 * square(5, 3)
    first, second = (on_regions(maps + shift, regions(square(5, 3)))["evidence"] for shift in (0, 4))
    np.testing.assert_allclose(first.energy, second.energy, atol=1e-5)
    np.testing.assert_allclose(first.auroc, second.auroc)


@pytest.mark.parametrize("size", [3, 4, 5])
def test_perfect_map_of_a_large_object_reaches_every_threshold(size: int) -> None:
    inside = square(4, size)
    on, off = (on_regions(maps.astype(np.float32), regions(inside))["evidence"] for maps in (inside, 1 - inside))
    assert on.beyond(2.0).min() > 0 > off.beyond(2.0).max()
    assert (on.auroc.min(), off.auroc.max()) == (1, 0)
    np.testing.assert_array_equal(on.best_auroc, 1)


def test_foreground_is_what_lies_beside_the_evidence() -> None:
    evidence = square(3, 1)
    found = on_regions(evidence + 0.5 * square(3, 3), regions(evidence, square(3, 3)))
    np.testing.assert_allclose(found["foreground"].area, 8 / 48)
    np.testing.assert_allclose(found["evidence"].area, 1 / 49)
    assert not found["mark"].counts.any()


def test_ceiling_of_a_coarse_grid_is_below_that_of_the_pixels() -> None:
    inside = square(1, 1) / 4  # a quarter of a cell
    found = on_regions(inside, regions(inside))["evidence"]
    assert found.best_energy[0] == pytest.approx(0.25)
    assert found.auroc[0] == found.best_auroc[0] < 1


def test_blocks_are_joined_and_odds_are_finite() -> None:
    parts = [on_regions(square(n, 3), regions(square(n, 3))) for n in (2, 3)]
    assert len(joined(parts)["evidence"].energy) == 5
    assert odds_ratio(0.5, 0.2) == pytest.approx(4)
    assert np.isfinite(odds_ratio(1.0, 0.0))


def test_accuracy_and_energy_by_attribute_are_means_over_its_images_with_intervals_over_groups() -> None:
    count = 80
    hospital = np.where(np.arange(count) < 60, "A", "B").astype(object)
    hospital[0] = ""  # not known
    ages = [str(20 + k % 40) for k in range(count)]  # too many values
    index = pd.DataFrame(
        {"attribute:hospital": hospital, "attribute:age": ages, "attribute:one": "x", "label:Mass": "1"}
    )
    right = np.arange(count) % 4 != 0
    evidence = np.arange(count) % 2 == 0
    found = {
        "evidence": evidence,
        "positive": np.ones(count, bool),
        "evidence.energy": np.linspace(0, 1, count),
    }
    splits = {"train": np.arange(0, 40), "test": np.arange(40, count)}
    sample = Sample(np.zeros(count, np.int64), np.arange(count), splits, ("a", "b"))
    result = by_attribute(index, right, found, sample, 199, 0)
    assert list(result) == ["hospital"] and list(result["hospital"]["train"]) == ["A"]
    assert result["hospital"]["train"]["A"]["images"] == 39
    for value, rows in {"A": np.arange(40, 60), "B": np.arange(60, 80)}.items():
        row = result["hospital"]["test"][value]
        assert row["accuracy"] == right[rows].mean() == 0.75 and row["region"] == "evidence"
        assert row["accuracy_low"] < 0.75 < row["accuracy_high"]
        assert row["energy"] == pytest.approx(found["evidence.energy"][rows[evidence[rows]]].mean())
    assert by_attribute(index[["label:Mass"]], right, found, sample, 199, 0) is None
    plain = by_attribute(index, right, None, sample, 199, 0)["hospital"]["test"]["A"]
    assert (plain["region"], plain["energy"]) == (None, None)
