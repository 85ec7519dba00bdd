import numpy as np
import pytest

from wheretolook.analysis.agreement import agreement_table
from wheretolook.analysis.agreement import measured as blockwise
from wheretolook.analysis.agreement.correlated import Counted, Images, PairedFigure, correlated
from wheretolook.analysis.agreement.measured import measured
from wheretolook.analysis.agreement.measures import CENTRES, STRUCTURE, TOP_FIFTH
from wheretolook.analysis.grid import centre_prior, correlate, whole_group_blocks

RNG = np.random.default_rng(0)
GRID = (7, 7)
MAPS = RNG.normal(size=(30, 3, 49)).astype(np.float32)  # 30 images, 3 models
IMAGES = Images(np.arange(30) % 2, np.arange(30) // 4)
PAIRS = [(0, 1), (0, 2)]


def read(positions: np.ndarray) -> np.ndarray:
    return MAPS[positions]


def others_of(i: int) -> list[int]:
    return [j for j in range(30) if IMAGES.classes[j] == IMAGES.classes[i] and IMAGES.groups[j] != IMAGES.groups[i]]


@pytest.mark.parametrize("measure", [False, True, TOP_FIFTH, CENTRES])
def test_of_two_by_two_cells_there_is_no_centre_to_be_held_against(measure) -> None:
    """All four are as far from it; before, the null was NaN, and so was all that rests on it."""
    few = lambda positions: read(positions)[:, :, :4]  # noqa: E731
    if isinstance(measure, bool):
        found = correlated(few, IMAGES, (2, 2), 3, PAIRS, measure)
    else:
        found = measured(measure, few, IMAGES, (2, 2), 3, PAIRS)
    assert found.observed.valid.any() and found.nulls["mean_map"].valid.any()
    assert not found.nulls["centre"].valid.any()
    assert all(np.isfinite(null.values).all() for null in found.nulls.values())


@pytest.mark.parametrize("ranked", [False, True])
def test_figures_and_nulls_are_those_worked_out_image_by_image(ranked: bool) -> None:
    found = correlated(read, IMAGES, GRID, 3, PAIRS, ranked)
    prior = np.tile(centre_prior(GRID).ravel(), (2, 1))
    for i in (0, 7, 29):
        rest = others_of(i)
        for p, (a, b) in enumerate(PAIRS):
            one = lambda x, y: correlate(x[None], y[None], ranked)[0][0]  # noqa: E731
            own = MAPS[i, a], MAPS[i, b]
            other = np.mean([(one(own[0], MAPS[j, b]) + one(own[1], MAPS[j, a])) / 2 for j in rest])
            means = MAPS[rest, a].mean(axis=0), MAPS[rest, b].mean(axis=0)
            assert found.observed.values[i, p] == pytest.approx(one(*own), abs=1e-5)
            assert found.nulls["other"].values[i, p] == pytest.approx(other, abs=1e-5)
            assert found.nulls["centre"].values[i, p] == pytest.approx(
                np.abs(correlate(np.stack(own), prior, ranked)[0]).max(), abs=1e-5
            )
            assert found.nulls["mean_map"].values[i, p] == pytest.approx(
                max(abs(one(own[0], means[0])), abs(one(own[1], means[1]))), abs=1e-5
            )


def test_constant_map_is_left_out_and_counts_for_no_null() -> None:
    maps = MAPS.copy()
    maps[4, 1] = 2.5
    found = correlated(lambda positions: maps[positions], IMAGES, GRID, 3, PAIRS, ranked=False)
    assert not found.observed.valid[4, 0]
    assert found.observed.valid[4, 1]
    rest = others_of(0)
    to_b = [correlate(maps[0, :1], maps[j, 1:2])[0][0] for j in rest if j != 4]
    to_a = [correlate(maps[0, 1:2], maps[j, :1])[0][0] for j in rest]
    wanted = (np.mean(to_b) + np.mean(to_a)) / 2
    assert found.nulls["other"].values[0, 0] == pytest.approx(wanted, abs=1e-5)


@pytest.mark.parametrize("measure", [TOP_FIFTH, CENTRES, STRUCTURE], ids=lambda measure: measure.name)
def test_measures_of_one_map_twice_and_of_its_nulls(measure) -> None:
    same = measured(measure, lambda at: MAPS[at][:, [0, 0]], IMAGES, GRID, 2, [(0, 1)])
    best = 0 if measure is CENTRES else 1
    np.testing.assert_allclose(same.observed.values, best, atol=1e-6)
    found = measured(measure, read, IMAGES, GRID, 3, PAIRS)
    i, (a, b) = 7, PAIRS[1]
    maps = MAPS.reshape(30, 3, 7, 7)
    prior = centre_prior(GRID)
    prior = (prior - prior.mean()) / prior.std()

    def best_of(null_a: np.ndarray, null_b: np.ndarray) -> float:
        features = [measure.features(maps[i, m][None]) for m in (a, b)]
        signs = (1, -1) if measure.signed else (1,)
        values = [
            measure.compare(own, measure.features(sign * null[None]))[0]
            for own, null in zip(features, (null_a, null_b), strict=True)
            for sign in signs
        ]
        return min(values) if measure is CENTRES else max(values)

    rest = others_of(i)
    assert found.nulls["centre"].values[i, 1] == pytest.approx(best_of(prior, prior), abs=1e-5)
    means = [maps[rest, m].mean(axis=0) for m in (a, b)]
    assert found.nulls["mean_map"].values[i, 1] == pytest.approx(best_of(*means), abs=1e-4)


@pytest.mark.parametrize("measure", [TOP_FIFTH, CENTRES, STRUCTURE], ids=lambda measure: measure.name)
def test_measures_of_a_class_in_many_blocks_are_those_of_one(measure, monkeypatch: pytest.MonkeyPatch) -> None:
    maps = MAPS.copy()
    maps[4, 1] = 2.5  # one that counts for nothing

    def run() -> tuple[PairedFigure, int]:
        most = 0

        def read(positions: np.ndarray) -> np.ndarray:
            nonlocal most
            most = max(most, len(positions))
            return maps[positions]

        return measured(measure, read, IMAGES, GRID, 3, PAIRS), most

    whole, at_once = run()
    assert at_once == 15
    monkeypatch.setattr(blockwise, "whole_group_blocks", lambda groups, size: whole_group_blocks(groups, 4))
    found, at_once = run()
    assert at_once <= 4
    for name, counted in {"observed": whole.observed, **whole.nulls}.items():
        again = found.observed if name == "observed" else found.nulls[name]
        np.testing.assert_array_equal(again.valid, counted.valid)
        np.testing.assert_allclose(again.values[again.valid], counted.values[counted.valid], rtol=0, atol=1e-6)


def test_only_classes_that_occur_are_gone_through() -> None:
    """Each class has a row: going through all classes for each of them took a thousand classes a million turns."""

    class Counting(np.ndarray):
        turns = 0

        def __eq__(self, other: object) -> np.ndarray:
            Counting.turns += 1
            return np.asarray(self) == other

    values = np.random.default_rng(2).normal(size=(30, 2))
    everyone, classes = np.ones((30, 2), bool), np.arange(30) % 10
    figures = [
        PairedFigure("pearson", Counted(values[::-1], everyone), {"other": Counted(values, everyone)}, own)
        for own in (classes, classes.view(Counting))
    ]
    members = everyone & (classes == 3)[:, None]
    wanted, found = (figure.excess("other", members).values for figure in figures)
    assert Counting.turns == 1
    np.testing.assert_array_equal(found, wanted)
    others = values[classes == 3].mean(axis=0)
    np.testing.assert_allclose(wanted[3], values[-4] - values[3] - (values[3] - others))


def test_excess_of_a_distance_is_positive_where_maps_are_nearer_than_the_null() -> None:
    near = measured(CENTRES, lambda at: MAPS[at][:, [0, 0]], IMAGES, GRID, 2, [(0, 1)])
    assert (near.excess("other", np.ones((30, 1), dtype=bool)).values.mean() >= 0).all()


@pytest.mark.parametrize("groups", [np.arange(30), np.arange(30) // 2], ids=["no groups", "groups of two"])
def test_rows_do_not_depend_on_how_many_pairs_are_computed_at_once(
    groups: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs = [(0, 1), (0, 2), (1, 2)]
    figure = correlated(read, Images(np.zeros(30, int), groups), GRID, 3, pairs, False)
    members = np.ones((30, 3), dtype=bool)
    members[:12, 1] = members[:9, 2] = False  # one pair has too few images for a figure
    found = []
    for count in (1, 64):
        monkeypatch.setattr(agreement_table, "PAIRS", count)
        found.append(agreement_table.agreement_rows(figure, members, groups, 199, 0))
    for one, all_at_once in zip(*found, strict=True):
        assert one == pytest.approx(all_at_once, abs=1e-6, nan_ok=True)
    assert [row["mean"] is None for row in found[0]] == [False, True, False]
    assert found[0][0]["mean"] == pytest.approx(figure.observed.values[:, 0].mean())
