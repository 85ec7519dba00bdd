"""The checks at the top: each problem is found where it is, and nothing is called sound that was not checked."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.report.fake import World
from tests.report.test_baselines import always_first, with_confusion
from wheretolook.report.loaded import Results, load_results
from wheretolook.report.soundness import Check, State, named_problems, soundness


@pytest.fixture(scope="module")
def results(world: World) -> Results:
    """Results of models whose validation loss has levelled off."""
    loaded = load_results(world.root / "reports", world.root / "data/prepared")
    models = {name: {**model, "history": [model["history"][0]] * 2} for name, model in loaded.models.items()}
    return replace(loaded, models=models)


def check(results: Results, key: str) -> Check:
    return next(each for each in soundness(results) if each.key == key)


def changed(results: Results, section: str, **values: Any) -> Results:
    """The same results with other values in one section of the audit."""
    return replace(results, audit={**results.audit, section: {**results.audit[section], **values}})


def test_a_study_without_faults_has_no_problem(results: Results):
    states = {each.key: each.state for each in soundness(results)}
    assert State.WARNING not in states.values()
    assert states["groups"] is State.UNKNOWN, "no group pattern"
    assert named_problems(soundness(results)) == "No check found a problem; not known: groups."


def test_constant_answers_are_a_problem_of_accuracy_and_of_classes(results: Results):
    blind = with_confusion(results, [always_first(np.array([30, 10]))] * 4, ("infected", "uninfected"))
    for key in ("accuracy", "balanced_accuracy", "predicted_classes"):
        assert check(blind, key).state is State.WARNING
    assert check(blind, "accuracy").text.startswith("75.0 % of 40 images. Always infected: 75.0 %; guessing: 50.0 %.")
    assert check(blind, "predicted_classes").text == "Never predicted by any model: uninfected."


def test_copies_in_train_and_two_labels_are_leaks(results: Results):
    near = {"of_trained": {"splits": {"val": 0, "test": 7}, "examples": [["a", "b"]]}}
    leaking = changed(results, "near_copies", **near)
    assert check(leaking, "leaks").state is State.WARNING
    assert check(leaking, "leaks").text == "7 of 20 images (35 %) copy a training image."
    unsearched = changed(results, "near_copies", compared=0)
    assert check(unsearched, "leaks").state is State.UNKNOWN


def test_twins_and_other_training_data_are_named(results: Results):
    twin = {"model": "last-1", "of": "last-0", "how": "same weights"}
    twins = replace(results, statements={**results.statements, "twins": [twin]})
    assert check(twins, "twins").state is State.WARNING and "last-1" in check(twins, "twins").text
    model = results.models["last-0"]
    other = {**model, "model": {**model["model"], "trained_on": "f" * 64}}
    foreign = replace(results, models={**results.models, "last-0": other})
    assert check(foreign, "training_data").state is State.WARNING
    assert named_problems(soundness(foreign)) == "Problems: held out. Read the findings with care."


def test_scores_far_from_calibrated_are_a_problem(results: Results):
    model = results.models["last-0"]
    for high, state in ((0.05, State.WARNING), (0.25, State.GOOD)):  # of few images, chance alone may give as much
        test = {**model["splits"]["test"], "ece": 0.2, "ece_floor": 0.02, "ece_floor_high": high}
        poor = {**model, "splits": {**model["splits"], "test": test}}
        assert check(replace(results, models={**results.models, "last-0": poor}), "calibration").state is state


def test_maps_that_fail_the_sanity_check_or_are_undecided_are_not_called_fine(results: Results):
    for verdict, state in (("fail", State.WARNING), ("open", State.UNKNOWN)):
        models = {
            name: {**model, "sanity": {key: {**found, "verdict": verdict} for key, found in model["sanity"].items()}}
            for name, model in results.models.items()
        }
        assert check(replace(results, models=models), "sanity").state is state


def test_groups_of_a_table_are_named_and_a_table_without_them_is_too(results: Results):
    table = {"columns": {"path": "file", "label": "dx"}, "attributes": [], "tables": [], "bad_rows": {}}
    without = replace(results, audit={**results.audit, "label_table": table})
    assert check(without, "groups").text.startswith("No group pattern is set, and the table of labels has no column of")
    groups = {"pattern": "column patient", "count": 9, "one_class": {"count": 0}}
    splits = {**results.audit["splits"], "test": {**results.audit["splits"]["test"], "groups": 3}}
    grouped = replace(results, audit={**results.audit, "label_table": table, "groups": groups, "splits": splits})
    assert (check(grouped, "groups").state, check(grouped, "groups").text) == (
        State.GOOD,
        "9 groups (by column patient), 3 of them in test; none in two splits.",
    )
    leaks = {"leaks": {"groups": {"count": 2}, "images": {"count": 0}}}
    official = replace(grouped, audit={**grouped.audit, "official_splits": leaks})
    assert check(official, "groups").state is State.WARNING
