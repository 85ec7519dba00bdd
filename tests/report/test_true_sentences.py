"""Sentences that the data could contradict: each has a study in which the obvious wording would be false."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.report.fake import World
from tests.report.fake_study import said
from tests.report.test_baselines import always_first, with_confusion
from tests.report.test_headline import with_statements
from tests.report.test_sections import probed
from tests.report.test_soundness import changed, check
from wheretolook.analysis.results.comparison_result import NULLS
from wheretolook.analysis.results.statement import Figure, Kind, Scope, statement_from_json
from wheretolook.base.prepared import load_prepared
from wheretolook.mapstore.store import load_maps
from wheretolook.report.gallery import make_gallery
from wheretolook.report.guessing import judged_models, seen_words
from wheretolook.report.headline import headlines
from wheretolook.report.loaded import Results, load_results
from wheretolook.report.page_data import page_data
from wheretolook.report.sections_agreement import agreements
from wheretolook.report.sections_probing import cues_section, occlusion_section
from wheretolook.report.sections_statements import would_tell
from wheretolook.report.site import page_of
from wheretolook.report.soundness import State, soundness
from wheretolook.report.statement_words import because, sentence


@pytest.fixture(scope="module")
def results(world: World) -> Results:
    return load_results(world.root / "reports", world.root / "data/prepared")


def undecided(world: World, reason: str, *figures: Figure, **about: Any):
    """An undecided statement about the class "a"."""
    return replace(statement_from_json(said(world, "a", "cannot_tell", reason, **about)), figures=figures)


def test_each_model_is_named_with_the_classes_that_it_never_predicts_itself(results: Results):
    names = ("a", "b", "c")
    counts = [np.diag([9] * 3)] * 2 + [
        np.array([[0, 9, 0], [0, 9, 0], [0, 0, 9]]),
        np.array([[9, 0, 0], [9, 0, 0], [0, 0, 9]]),
    ]
    text = check(with_confusion(results, counts, names), "predicted_classes").text
    assert text == "Never predicted by every-0: a; by every-1: b."


def test_a_class_without_images_is_not_said_to_be_predicted(results: Results):
    without = {**results.audit["classes"]["infected"], "splits": {"train": 9, "val": 1, "test": 0}}
    text = check(changed(results, "classes", infected=without), "predicted_classes").text
    assert text == "Every model predicts every class that has test images."


def test_without_an_interval_balanced_accuracy_is_not_called_fine(results: Results):
    few = with_confusion(results, [np.array([[3, 1], [1, 3]])] * 4, results.class_names)
    found = check(few, "balanced_accuracy")
    assert found.state is State.UNKNOWN and "for an interval" in found.text


def test_the_split_that_models_were_trained_on_is_not_called_held_out(results: Results):
    trained = replace(results, split="train")
    assert check(trained, "training_data").state is State.WARNING
    assert seen_words(trained) == "Every model was trained on them."
    val = replace(results, split="val")
    assert check(val, "training_data").state is State.WARNING, "it chose the epoch"
    models = {
        name: {**each, "model": {**each["model"], "training": {"keep": "last"}}} for name, each in val.models.items()
    }
    assert check(replace(val, models=models), "training_data").state is State.GOOD


def test_a_search_among_some_images_does_not_show_that_there_are_no_copies(results: Results):
    found = check(changed(results, "near_copies", compared=results.audit["images"] - 1), "leaks")
    assert found.state is State.UNKNOWN and "searched among 39 of 40 images" in found.text


def test_many_images_of_few_patients_are_not_called_sound(results: Results, world: World):
    groups = {"pattern": "^P", "count": 9, "one_class": {"count": 0}}
    few = said(world, "infected", "cannot_tell", "few_images")
    few["figures"] = [vars(Figure("effective groups", 7.6, threshold=10))]
    study = with_statements(replace(results, audit={**results.audit, "groups": groups}), [few], ("infected",))
    assert check(study, "groups").state is State.WARNING and "about infected" in check(study, "groups").text
    statement = statement_from_json(few)
    assert because(statement).startswith("too few groups of infected; effective groups 7.6")
    assert would_tell(statement) == "images of infected from more groups, such as patients"


def test_imported_models_are_not_said_to_have_other_seeds(results: Results):
    assert "seed" in check(results, "twins").text
    assert "seed" not in check(replace(results, drive=("last-0",)), "twins").text


def test_the_reason_of_one_statement_is_not_given_for_all(results: Results, world: World):
    agreement = said(world, "infected", "cannot_tell", "families_disagree")
    place = said(world, "infected", "cannot_tell", "models_differ", kind=Kind.PLACE, region="evidence")
    (only,) = headlines(with_statements(results, [agreement, place], ("infected",)))
    assert only.text == (
        "no claim is supported; whether the four models look at the same places is undecided: occlusion maps disagree "
        "with the CAMs."
    )


def test_what_a_recipe_or_an_exploratory_statement_supports_is_not_denied(results: Results, world: World):
    place = {"kind": Kind.PLACE, "region": "evidence"}
    recipe = said(world, "infected", "supported", "all_met", **place, scope=Scope.RECIPE)
    (only,) = headlines(with_statements(results, [recipe], ("infected",)))
    assert only.text.startswith("networks trained like last-0 (4 seeds) look at the evidence")
    exploratory = said(world, "infected", "supported", "all_met", **place, exploratory=True)
    (only,) = headlines(with_statements(results, [exploratory], ("infected",)))
    assert only.text.startswith("only exploratory claims are supported")


def test_a_figure_of_the_mean_is_not_taken_for_that_of_the_model_that_differs(world: World):
    mean = undecided(world, "models_differ", Figure("odds ratio", 0.46, 0.44, 0.48, 2.0))
    assert "(mean over models) 0.46" in because(mean)
    own = undecided(world, "models_differ", Figure("AUROC", 0.51, 0.49, 0.55, 0.6, "last-1"))
    assert "AUROC (last-1) 0.51" in because(own)


def test_a_cue_whose_effect_a_harmless_change_has_too_is_not_said_to_change_few_predictions(world: World):
    """80 % change, 45 % by a harmless change: "most predictions stay" would be false, though 35 % lies below 50 %."""
    refuted = said(world, "a", "shown_not", "no_cue", kind=Kind.GLOBAL_CUE, cue="hue")
    refuted["figures"] = [vars(Figure("flips beyond a harmless change", 0.35, 0.3, 0.4, 0.5, "hue"))]
    assert sentence(statement_from_json(refuted)) == (
        "Changing the colour of the whole image changes less than 50.0 % of the predictions of a beyond what a "
        "harmless change does."
    )


def test_what_makes_a_comparison_by_place_possible_is_named(world: World):
    statement = undecided(world, "no_test", kind=Kind.DIFFERENCE, others=("b",))
    assert would_tell(statement) == ""
    assert "masks" in would_tell(statement, "no_places")
    assert "every_class_up_to" in would_tell(statement, "no_maps_of_every_class")


def test_a_baseline_that_was_not_measured_is_not_exceeded(results: Results):
    none = results.agreement.assign(**dict.fromkeys(NULLS, float("nan")))
    assert agreements(replace(results, agreement=none))[0]["see"] == ""
    (first, *_) = agreements(results)
    assert first["see"].endswith("Not measured for all of them: networks of random weights.")


def test_the_largest_of_many_effects_is_named_only_where_its_interval_is_clear(results: Results):
    study = probed(results)
    cue = study.models["last-0"]["global_cues"][0]

    def finding(**figures: Any) -> str:
        models = {**study.models, "last-0": {**study.models["last-0"], "global_cues": [{**cue, **figures}]}}
        return cues_section(replace(study, models=models))["see"]

    assert finding().startswith("The largest effect: the colour of the whole image")
    one_image = {"flips": 0.02, "flips_low": 0.0, "flips_high": 0.11, "floor_flips": 0.0}
    assert finding(**one_image) == "No cue is shown to change more predictions than the same exchange within the class."
    assert finding(**one_image | {"flips_low": None}).endswith("too few images for an interval.")
    assert finding(floor_flips=None) == ""
    assert finding(excess_flips_low=-0.1).startswith("No cue is shown")


def test_maps_that_agree_weakly_are_not_called_similar(results: Results):
    study = probed(results)
    row = study.models["last-0"]["occlusion"][0]

    def finding(**figures: float | None) -> str:
        models = {**study.models, "last-0": {**study.models["last-0"], "occlusion": [{**row, **figures}]}}
        return occlusion_section(replace(study, models=models))["classes"][0]["see"]

    assert finding().endswith("point at similar places.")
    assert finding(r=0.06, r_low=0.01).endswith("agree, but weakly.")
    assert finding(r_low=None, r_high=None).endswith("too few images for an interval.")
    assert finding(r=-0.1, r_low=-0.2).endswith("not confirmed.")


def test_a_training_that_learned_nothing_is_not_called_fine_because_its_loss_is_level(results: Results):
    level = {name: {**model, "history": [model["history"][0]] * 3} for name, model in results.models.items()}
    blind = with_confusion(replace(results, models=level), [always_first(np.array([30, 10]))] * 4, results.class_names)
    found = check(blind, "convergence")
    assert found.state is State.WARNING and found.text.startswith("Failed in 4 of 4 models")
    assert check(blind, "accuracy").text.endswith("No model is better.")
    better = np.array([[28, 2], [1, 9]])
    one = with_confusion(blind, [better, better, better, always_first(np.array([30, 10]))], results.class_names)
    assert check(one, "accuracy").text.endswith("Not better: every-1.")


def test_the_image_whose_maps_differ_most_is_named(world: World):
    root = world.root
    results, prepared = load_results(root / "reports", root / "data/prepared"), load_prepared(root / "data/prepared")
    maps = {name: load_maps(root / "data/cams" / name) for name in results.names}
    gallery = make_gallery(maps, prepared.labels, prepared.rows(results.split), 20)
    most = prepared.index["image_id"].iloc[gallery.rows[np.argmax(gallery.disagreement)]]
    page = page_of(results, maps, page_data(results, prepared, maps, gallery, root / "data/comparison", 14))
    assert f"the maps of two models differ most on {most} (" in page


def test_scores_of_a_predicted_number_are_not_judged_as_probabilities(results: Results):
    outputs = {"kind": "value", "name": "age", "threshold": 50.0, "scale": 10.0}
    models = {name: {**each, "model": {**each["model"], "outputs": outputs}} for name, each in results.models.items()}
    assert "calibration" in {each.key for each in soundness(results)}
    assert "calibration" not in {each.key for each in soundness(replace(results, models=models))}


def test_a_constant_answer_is_no_better_than_chance_where_classes_have_no_images(results: Results):
    names = ("a", "b", "c", "d")
    constant = np.zeros((4, 4), int)
    constant[0, 0] = constant[1, 0] = 10
    figures = {"balanced_accuracy": 0.5, "balanced_accuracy_low": 0.45, "balanced_accuracy_high": 0.55}
    test = {**results.models["last-0"]["splits"]["test"], **figures, "accuracy": 0.5, "confusion": constant.tolist()}
    models = {name: {**each, "splits": {**each["splits"], "test": test}} for name, each in results.models.items()}
    study = replace(results, models=models, audit={**results.audit, "class_names": list(names)})
    assert judged_models(study) == ()
    assert check(study, "balanced_accuracy").text.startswith("50.0 %; chance 50.0 %.")
