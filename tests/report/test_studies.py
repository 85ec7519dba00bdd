"""Studies with one fault each: the first screen names it, and no place is a finding where there can be none."""

import re
from collections.abc import Sequence
from dataclasses import replace
from html import unescape
from typing import Any

import numpy as np
import pytest

from tests.report.fake import World, write_world
from tests.report.test_baselines import always_first, with_confusion
from wheretolook.base.prepared import load_prepared
from wheretolook.mapstore.store import load_maps
from wheretolook.report.gallery import make_gallery
from wheretolook.report.guessing import judged_classes, judged_models
from wheretolook.report.headline import findings_of
from wheretolook.report.loaded import Results, load_results
from wheretolook.report.page_data import page_data
from wheretolook.report.site import page_of
from wheretolook.report.soundness import State, soundness
from wheretolook.report.summary import summary_of

CLASSES = ("free", "break", "crack")


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Two models of three classes; only the first class has evidence."""
    return write_world(tmp_path_factory.mktemp("three"), ("one", "two"), CLASSES, per_class=4, size=16, grids=(4, 2))


@pytest.fixture
def results(three: World) -> Results:
    return load_results(three.root / "reports", three.root / "data/prepared")


def with_predictions(results: Results, *counts: np.ndarray, low: float | None = None) -> Results:
    """The same study with other predictions; `low` is the lower end of every balanced accuracy."""
    found = with_confusion(results, counts, CLASSES)
    for model in found.models.values():
        test = model["splits"]["test"]
        test["balanced_accuracy_low"], test["balanced_accuracy_high"] = low, None if low is None else 1.0
    return found


def first_screen(results: Results, three: World) -> str:
    """The text of the page's answers."""
    root, prepared = three.root, load_prepared(three.root / "data/prepared")
    maps = {name: load_maps(root / "data/cams" / name) for name in results.names}
    gallery = make_gallery(maps, prepared.labels, prepared.rows(results.split), 4)
    page = page_of(results, maps, page_data(results, prepared, maps, gallery, root / "data/comparison", 4))
    answers = page[page.index('<section id="answers"') : page.index("</section>")]
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", answers)).replace("\u00a0", " "))


def problems(results: Results) -> set[str]:
    return {check.key for check in soundness(results) if check.state is State.WARNING}


def places(sentences: Sequence[str]) -> list[str]:
    """Findings about where maps lie."""
    return [each for each in sentences if "map energy" in each or "look at" in each]


def test_a_majority_class_model(results: Results, three: World):
    study = with_predictions(results, *[always_first(np.array([30, 5, 5]))] * 2)
    assert {"accuracy", "balanced_accuracy", "predicted_classes"} <= problems(study)
    words = first_screen(study, three)
    assert "No better than always answering free: the 2 models are right on 75.0 % of 40 images" in words
    assert "Never predicted by the 2 models: break and crack." in words
    assert "nothing can be said about where models look" in words
    assert places(findings_of(study)) == []
    assert "positive map energy lies" not in summary_of(study)


def test_a_model_whose_interval_includes_guessing(results: Results, three: World):
    almost = np.array([[6, 4, 4], [3, 6, 4], [4, 4, 5]])  # 17 of 40, 14 in the largest class
    study = with_predictions(results, almost, almost, low=0.29)
    assert "balanced_accuracy" in problems(study) and "accuracy" not in problems(study)
    assert judged_models(study) == ()
    words = first_screen(study, three)
    assert "Not shown to be better than guessing: the 2 models are right on 42.5 %" in words
    assert "Balanced accuracy: 42.5 % (95 % intervals: 29.0 to 100.0); chance: 33.3 %." in words
    assert places(findings_of(study)) == []


def test_a_model_that_recognises_a_rare_class_at_some_cost_is_no_constant_answer(results: Results, three: World):
    recognises = np.array([[85, 3, 2], [0, 5, 0], [1, 0, 4]])
    study = with_predictions(results, recognises, recognises, low=0.8)  # 94 %; always free: 90 %
    assert judged_models(study) == ("one", "two")
    costly = np.array([[80, 5, 5], [0, 5, 0], [1, 0, 4]])  # 89 %
    study = with_predictions(results, costly, costly, low=0.8)
    assert judged_models(study) == ("one", "two")
    assert "accuracy" in problems(study) and "balanced_accuracy" not in problems(study)
    assert "explain nothing" not in first_screen(study, three)


def test_a_class_that_is_never_predicted(results: Results, three: World):
    study = with_predictions(results, *[np.array([[0, 5, 5], [0, 10, 0], [0, 0, 10]])] * 2)
    assert judged_classes(study) == ("break", "crack")
    assert "predicted_classes" in problems(study)
    words = first_screen(study, three)
    assert "Never predicted by any model: free." in words
    assert "Never predicted by the 2 models: free. It is excluded from the findings." in words
    assert not any("free" in each for each in places(findings_of(study)))  # the only class with evidence


def test_leaks_and_contradictory_labels(results: Results, three: World):
    audit: dict[str, Any] = {**results.audit}
    audit["conflicts"] = {**audit["conflicts"], "certain_errors": {"train": 0, "val": 0, "test": 1}}
    near = {"of_trained": {"splits": {"val": 0, "test": 3}, "examples": [["a", "b"]]}}
    audit["near_copies"] = {**audit["near_copies"], **near}
    study = replace(results, audit=audit)
    assert "leaks" in problems(study)
    words = first_screen(study, three)
    assert "3 of 6 images (50 %) copy a training image; 1 image with contradictory labels." in words
    assert "3 of 6 images of the test split (50 %) have near copies among the images of the train split" in words


def test_twins(results: Results, three: World):
    twin = {"model": "two", "of": "one", "how": "same weights"}
    study = replace(results, statements={**results.statements, "twins": [twin], "models": ["one"]})
    assert "twins" in problems(study)
    assert "two is not counted: it has the same weights as one." in first_screen(study, three)


def test_a_loss_that_still_falls(results: Results, three: World):
    def falling(model: dict[str, Any]) -> dict[str, Any]:
        epochs = [{**model["history"][0], "epoch": epoch, "val_loss": 1.0 - 0.2 * epoch} for epoch in (1, 2, 3)]
        return {**model, "history": epochs}

    study = replace(results, models={name: falling(model) for name, model in results.models.items()})
    assert "convergence" in problems(study)
    words = first_screen(study, three)
    assert "Validation loss was still falling at the end in 2 of 2 models; raise train.epochs." in words
