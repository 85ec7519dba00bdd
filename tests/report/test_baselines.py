"""What accuracies are compared with, and what is said first of models and classes that are not predicted."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from tests.report.fake import World
from wheretolook.report.guessing import (
    baseline_of,
    baseline_rows,
    judged_classes,
    judged_models,
    never_predicted,
    no_better,
)
from wheretolook.report.headline import alerts_of, findings_of, measured_findings
from wheretolook.report.loaded import Results, load_results
from wheretolook.report.sections_faithfulness import faithfulness_section
from wheretolook.report.sections_models import model_rows
from wheretolook.report.summary import summary_of

IMAGES = np.array([240, 20, 20, 20, 20, 20])  # 70.6 % in the first of six classes


@pytest.fixture(scope="module")
def results(world: World) -> Results:
    return load_results(world.root / "reports", world.root / "data/prepared")


def with_confusion(results: Results, counts: Sequence[np.ndarray], class_names: Sequence[str]) -> Results:
    """The same models with other predictions on the test split."""
    models = {}
    for name, confusion in zip(results.names, counts, strict=True):
        recall = confusion.diagonal() / confusion.sum(axis=1)
        split = {
            **results.models[name]["splits"]["test"],
            "images": int(confusion.sum()),
            "accuracy": float(confusion.trace() / confusion.sum()),
            "balanced_accuracy": float(recall.mean()),
            "balanced_accuracy_low": None,
            "balanced_accuracy_high": None,
            "confusion": confusion.tolist(),
        }
        models[name] = {**results.models[name], "splits": {**results.models[name]["splits"], "test": split}}
    return replace(results, models=models, audit={**results.audit, "class_names": list(class_names)})


def always_first(images: np.ndarray) -> np.ndarray:
    return np.outer(images, np.eye(len(images), dtype=int)[0])


@pytest.fixture
def blind(results: Results) -> Results:
    """Four models that call every image "free"."""
    names = ["free", "blowhole", "break", "crack", "fray", "uneven"]
    return with_confusion(results, [always_first(IMAGES)] * 4, names)


def test_models_that_give_one_answer_have_one_finding(blind: Results):
    (finding,) = findings_of(blind)
    assert finding.startswith("No better than always answering free: the 4 models are right on 70.6 %")
    assert "Balanced accuracy: 16.7 %; chance: 16.7 %." in finding
    assert finding.endswith("Never predicted by the 4 models: blowhole, break, crack, fray and uneven.")
    assert measured_findings(blind) == []
    assert judged_models(blind) == ()


def test_the_baseline_is_tabled_beside_the_models(blind: Results):
    baseline = baseline_of(blind)
    assert (baseline.images, baseline.majority_class) == (340, "free")
    assert (baseline.chance, baseline.majority) == pytest.approx((1 / 6, 240 / 340))
    always, guessing = baseline_rows(blind)
    assert (always["accuracy"], always["balanced"], guessing["accuracy"]) == ("70.6 %", "16.7 %", "16.7 %")
    assert "| always free | – | – | 70.6 % | 16.7 % | 0.500 |" in summary_of(blind)
    assert [row["balanced"] for row in model_rows(blind)] == ["16.7 %"] * 4  # shown without an interval, too


def test_a_class_that_one_model_never_predicts_is_named_first_and_gets_no_finding(results: Results):
    better, constant = np.array([[6, 4], [1, 29]]), np.array([[0, 10], [0, 30]])
    one = with_confusion(results, [better, better, better, constant], ["infected", "uninfected"])
    assert [no_better(one, name) for name in one.names] == [False, False, False, True]
    assert never_predicted(one, "every-1") == ["infected"]
    first, *others = findings_of(one)
    assert first.startswith("No better than always answering uninfected: every-1 is right on 75.0 %")
    assert judged_classes(one) == ("infected", "uninfected")  # of the models that findings are about
    assert any(finding.startswith("Three models classify ") for finding in others)
    names = ["a", "b", "c"]
    partly = np.array([[10, 0, 0], [0, 10, 0], [3, 3, 0]])
    two = with_confusion(results, [np.diag([10, 10, 6]), partly, partly, partly], names)
    assert judged_classes(two) == ("a", "b")
    assert alerts_of(two) == ["Never predicted by last-1, every-0 and every-1: c. It is excluded from the findings."]


def test_no_place_or_agreement_of_such_a_class_is_a_finding(results: Results):
    """Both models are better than the baseline, by the other classes."""
    rows = results.agreement
    third = rows[rows["class_name"] == "infected"].assign(class_name="third")
    counts = [np.array([[0, 3, 3], [0, 10, 0], [0, 0, 10]])] * 4
    found = with_confusion(results, counts, ["infected", "uninfected", "third"])
    found = replace(found, agreement=pd.concat([rows, third], ignore_index=True))
    findings = measured_findings(found)
    assert not any("infected (" in each.replace("uninfected (", "") for each in findings)
    assert not any("In images of infected" in each for each in findings)
    assert any("third" in each for each in findings)


def test_faithfulness_of_a_model_with_one_answer_is_not_blamed_on_the_images(blind: Results, results: Results):
    names = {"audit": {**blind.audit, "class_names": ["infected", "uninfected"]}}
    two = with_confusion(replace(results, **names), [always_first(np.array([10, 10]))] * 4, ["infected", "uninfected"])
    part = next(part for part in faithfulness_section(two)["classes"] if part["class_name"] == "uninfected")
    assert (part["undefined"], part["constant"]) == ("", "last-0, last-1, every-0 and every-1")
