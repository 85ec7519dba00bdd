from pathlib import Path

import numpy as np
import pytest

from tests.analysis.made import make
from wheretolook.analysis.agreement.agreement_baselines import add_random_null, against_random, random_nulls
from wheretolook.analysis.agreement.study import Study, load_study
from wheretolook.analysis.grid import correlate
from wheretolook.base.prepared import load_prepared


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    root = tmp_path_factory.mktemp("random")
    make(root, names=("last-0", "last-1"))
    return opened(root)


def opened(root: Path, split: str = "test") -> Study:
    data = load_prepared(root / "data/prepared")
    return load_study(root / "reports/names.json", root / "reports/exports", root / "data/cams", data, split)


def of_class(study: Study, name: str, figure: str = "pearson", class_index: int = 0) -> float:
    found = against_random(study, name)
    (nearest,) = found.most_alike(figure, study.labels[found.rows, None] == class_index)
    return nearest


def row(**changes: object) -> dict:
    base = {"model_a": "last-0", "model_b": "last-1", "primary": 1, "subset": "all", "figure": "pearson"}
    return base | {"class_name": "infected", "mean": 0.9, "low": 0.8, "high": 0.95, "random": None} | changes


def test_baseline_is_the_largest_mean_of_absolute_correlations_of_any_draw(study: Study) -> None:
    maps = study.maps["last-0"]
    draws, rows = maps.random()
    rows_of = study.labels[rows] == 0
    own = np.asarray(maps.open("cam", "block2"))[rows]
    own = (own[:, 0] - own[:, 1])[rows_of].reshape(rows_of.sum(), -1)
    means = [np.abs(correlate(own, draw[rows_of].reshape(len(own), -1))[0]).mean() for draw in draws]
    assert of_class(study, "last-0") == pytest.approx(max(means), abs=1e-6)


def test_rows_are_held_against_the_larger_null_of_the_two_models(study: Study) -> None:
    rows = [row(), row(primary=0), row(subset="both_wrong"), row(figure="ssam"), row(mean=None)]
    add_random_null(study, rows, random_nulls(study))
    wanted = max(of_class(study, name) for name in study.names)
    assert rows[0]["random"] == pytest.approx(wanted)
    assert rows[0]["excess_random_low"] == pytest.approx(0.8 - wanted)
    assert [each["random"] for each in rows[1:]] == [None] * 4


def test_split_without_random_maps_has_no_such_null(study: Study) -> None:
    other = opened(study.maps["last-0"].folder.parents[2], "train")
    assert against_random(other, "last-0") is None


def test_every_figure_has_the_null_and_that_of_a_distance_is_the_nearest(study: Study) -> None:
    rows = [row(figure=figure) for figure in ("spearman", "iou", "ssim", "distance")]
    rows.append(row(subset="both_right"))
    add_random_null(study, rows, random_nulls(study))
    assert all(each["random"] is not None for each in rows)
    nearest = min(of_class(study, name, "distance") for name in study.names)
    distance = rows[3]
    assert distance["random"] == pytest.approx(nearest)
    assert distance["excess_random"] == pytest.approx(nearest - 0.9)
    assert distance["excess_random_low"] == pytest.approx(nearest - 0.95)


def test_fewer_than_ten_draws_are_no_null(tmp_path: Path) -> None:
    make(tmp_path, names=("last-0",), draws=9)
    assert against_random(opened(tmp_path), "last-0") is None
