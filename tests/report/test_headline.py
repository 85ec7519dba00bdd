"""The headline, and statements as sentences."""

from dataclasses import replace

import numpy as np
import pytest

from tests.report.fake import World
from tests.report.fake_study import said
from tests.report.test_baselines import with_confusion
from wheretolook.analysis.results.statement import Figure, Kind, Reason, Verdict, statement_from_json
from wheretolook.report.headline import headlines, overview
from wheretolook.report.loaded import Results, load_results
from wheretolook.report.sections_statements import statements_section, would_tell
from wheretolook.report.statement_words import because, figure_words, sentence


@pytest.fixture(scope="module")
def results(world: World) -> Results:
    return load_results(world.root / "reports", world.root / "data/prepared")


def with_statements(results: Results, statements: list[dict], names: tuple[str, ...] = ("infected", "uninfected")):
    """The same results with other statements, about classes of these names."""
    about = results.statements["classes"]["infected"]
    found = {**results.statements, "statements": statements, "classes": dict.fromkeys(names, about)}
    return replace(results, statements=found, audit={**results.audit, "class_names": list(names)})


def test_the_headline_reads_like_an_abstract(results: Results, world: World):
    both = [
        said(world, "infected", "supported", "all_met"),
        said(world, "infected", "supported", "all_met", kind=Kind.PLACE, region="evidence"),
        said(world, "infected", "supported", "all_met", kind=Kind.DIFFERENCE, region="evidence", others=("b",)),
        said(world, "uninfected", "shown_not", "below_margin") | {"figures": [vars(BELOW)]},
    ]
    infected, uninfected = overview(with_statements(results, both), "*")
    assert infected.startswith("*infected*: all four models look at the same places. They look at the evidence (")
    assert (
        " % of the positive map energy; 3 % by chance, its share of the area), need it to predict infected" in infected
    )
    assert infected.endswith(" and use it to distinguish infected from b.")
    assert uninfected == (
        "*uninfected*: no claim is supported: maps of two models agree with each other no better than with the models' "
        "own mean maps."
    )


BELOW = Figure("excess", -0.2, -0.3, -0.1, 0.2, "mean_map")


def test_agreement_that_may_exceed_its_baseline_a_little_is_not_called_none(world: World):
    positive = [vars(replace(BELOW, high=0.1))]
    words = sentence(statement_from_json(said(world, "a", "shown_not", "below_margin") | {"figures": positive}))
    assert "hardly better" in words and "0.20" in words


def test_of_many_classes_the_headline_names_those_with_a_supported_statement(results: Results, world: World):
    names = tuple(f"c{number}" for number in range(5))
    one = [said(world, name, "supported" if name == "c2" else "shown_not", "all_met") for name in names]
    five = with_confusion(results, [np.diag([9] * 5)] * 4, names)
    (only,) = headlines(with_statements(five, one, names))
    assert (only.class_name, only.text) == ("", "Statements are supported about 1 of 5 classes: c2.")


def test_a_class_without_a_supported_statement_has_its_reason(results: Results, world: World):
    few = [said(world, "infected", "cannot_tell", "few_images")]
    (only,) = headlines(with_statements(results, few, ("infected",)))
    assert only.text == "no claim is supported: too few images of infected."


def test_statements_are_grouped_by_verdict(results: Results):
    groups = statements_section(results)["verdicts"]
    classes = {group["verdict"]: [item["class_name"] for item in group["statements"]] for group in groups}
    assert classes == {"supported": ["infected"], "shown_not": ["uninfected"], "cannot_tell": []}
    assert {item["evidence"] for group in groups for item in group["statements"]} == {"agreement"}


def test_statements_of_one_class_that_share_a_reason_are_one_item(results: Results, world: World):
    why = [said(world, "infected", "cannot_tell", "few_images", region=region) for region in ("a", "b")]
    undecided = statements_section(with_statements(results, why, ("infected",)))["verdicts"][-1]
    assert [len(item["sentences"]) for item in undecided["statements"]] == [1], "regions are named in one sentence"
    why.append(said(world, "infected", "cannot_tell", "few_images", kind=Kind.PLACE, region="evidence"))
    undecided = statements_section(with_statements(results, why, ("infected",)))["verdicts"][-1]
    assert [len(item["sentences"]) for item in undecided["statements"]] == [2]


def test_every_reason_verdict_and_kind_has_words(world: World):
    for reason in Reason:
        assert because(statement_from_json(said(world, "a", "cannot_tell", reason.value))) or reason is Reason.ALL_MET
    for verdict in Verdict:
        each = [statement_from_json(said(world, "a", verdict.value, "imprecise", kind=kind)) for kind in Kind]
        assert len({sentence(one) for one in each}) == len(Kind)


def test_an_undecided_statement_names_what_would_decide_it(world: World):
    undecided = statement_from_json(said(world, "a", "cannot_tell", "imprecise", images_needed=362))
    assert would_tell(undecided) == "about 362 images of a (now 10)"
    # The number is that of the first figure: it decides nothing where another condition failed.
    other = replace(undecided, reason=Reason.PLACE_NOT_SUPPORTED)
    assert "362" not in would_tell(other)
    assert would_tell(replace(undecided, verdict=Verdict.SUPPORTED)) == ""


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("not_needed", "Predictions of a do not need the evidence."),
        ("not_concentrated", "In the maps, how a differs from b does not concentrate on the evidence."),
        ("look_alikes", "Places in images of b that look like the evidence count as much for a, or more."),
    ],
)
def test_refuted_difference_says_what_was_measured_and_not_that_the_networks_do_not_use_the_place(
    world: World, reason: str, words: str
) -> None:
    about = {"kind": Kind.DIFFERENCE, "region": "evidence", "others": ("b",)}
    found = said(world, "a", "shown_not", reason, **about) | {"worst": "b"}
    assert sentence(statement_from_json(found)) == words


def test_a_share_of_a_difference_near_zero_is_never_printed():
    share = Figure("share of the difference", 19.537, 12.0, 25.0, 0.04, "b")
    assert figure_words(share) == "no difference from b to share"
    assert figure_words(replace(share, value=0.179, low=0.171, high=0.187)).startswith(
        "share of the difference from b 17.9"
    )


@pytest.mark.parametrize(
    ("figure", "worst", "words", "tell"),
    [
        # A wide interval shows nothing: "does not recognise" would be false.
        (
            Figure("AUROC", 0.83, 0.43, 0.97, 0.5, "c"), "c",
            "not every model is shown to distinguish b from c", "more images of b and c",
        ),
        (
            Figure("AUROC", 0.4, 0.32, 0.48, 0.5, "c"), "c",
            "some model distinguishes b from c no better", "models that recognise b",
        ),
        (Figure("recall", 0.6, 0.4, 0.8, 0.5, "m"), "m", "m is not shown to recognise b better", "more images of b"),
        (Figure("recall", 0.3, 0.2, 0.4, 0.5, "m"), "m", "m recognises b no better", "models that recognise b"),
    ],
)  # fmt: skip
def test_a_class_that_is_not_shown_to_be_recognised_is_not_called_unrecognised(
    world: World, figure: Figure, worst: str, words: str, tell: str
) -> None:
    undecided = statement_from_json(said(world, "b", "cannot_tell", "not_recognised") | {"worst": worst})
    undecided = replace(undecided, figures=(figure,))
    assert because(undecided).startswith(words) and "than chance" in because(undecided)
    assert would_tell(undecided).startswith(tell)


def test_images_are_counted_without_decimals():
    assert figure_words(Figure("images", 6.0, threshold=20)) == "images 6 (threshold 20)"
    assert figure_words(Figure("effective groups", 7.65, threshold=10)) == "effective groups 7.7 (threshold 10)"
