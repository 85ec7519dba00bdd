"""Figures of results whose models are not alike: warnings fail, as matplotlib's of an empty legend would."""

from dataclasses import replace

import pytest

from tests.report.fake import World
from wheretolook.report.figures_results import draw_agreement, draw_localisation, draw_training
from wheretolook.report.results import Results, load_results


@pytest.fixture
def results(world: World) -> Results:
    return load_results(world.root / "reports", world.root / "data/prepared")


def changed(results: Results, name: str, **values) -> Results:
    return replace(results, models={**results.models, name: {**results.models[name], **values}})


def test_a_model_of_one_epoch_is_seen(results, tmp_path):
    first = results.models["last-0"]["history"][:1]
    for name, history in (("one", first), ("none", [])):
        draw_training(tmp_path / f"{name}.png", changed(results, "last-0", history=history))
    assert (tmp_path / "one.png").read_bytes() != (tmp_path / "none.png").read_bytes()


def test_models_without_a_history_are_a_figure_too(results, tmp_path):
    none = {name: {**model, "history": []} for name, model in results.models.items()}
    draw_training(tmp_path / "training.png", replace(results, models=none))
    assert (tmp_path / "training.png").is_file()


def test_networks_of_unequal_depth_meet_at_their_last_layers(results, tmp_path):
    assert draw_localisation(tmp_path / "a.png", changed(results, "last-0", layers=["block2", "block3"]))
    assert draw_localisation(tmp_path / "b.png", results)
    assert (tmp_path / "a.png").read_bytes() != (tmp_path / "b.png").read_bytes()


def test_maps_that_fail_the_sanity_check_are_marked_in_the_figure(results, tmp_path):
    draw_localisation(tmp_path / "marked.png", results)
    unasked = {name: {**model, "sanity": None} for name, model in results.models.items()}
    draw_localisation(tmp_path / "plain.png", replace(results, models=unasked))
    assert (tmp_path / "marked.png").read_bytes() != (tmp_path / "plain.png").read_bytes()


def test_a_class_of_which_nothing_was_measured_says_so(results, tmp_path):
    rows = results.agreement.copy()
    rows.loc[rows["class_name"] == "uninfected", ["mean", "low", "high"]] = float("nan")
    draw_agreement(tmp_path / "agreement.png", replace(results, agreement=rows))
    assert (tmp_path / "agreement.png").is_file()
