"""Which classes are shown where they are too many."""

from dataclasses import replace

import pytest

from tests.report.fake import World, page_html
from wheretolook.report import charts
from wheretolook.report.charts import by_family, clustered
from wheretolook.report.headline import findings_of
from wheretolook.report.loaded import Results, load_results, shown_classes
from wheretolook.report.sections_agreement import agreement_note, agreements
from wheretolook.report.sections_models import confusions
from wheretolook.report.sections_statements import statements_section
from wheretolook.report.summary import summary_of


@pytest.fixture(scope="module")
def results(many: World) -> Results:
    return load_results(many.root / "reports", many.root / "data/prepared")


def with_means(results: Results, means: dict[str, float]) -> Results:
    rows = results.agreement.copy()
    rows["mean"] = rows["class_name"].map(means)
    return replace(results, agreement=rows)


def test_all_are_shown_up_to_the_most_in_the_order_of_the_class_index(results: Results) -> None:
    shown = shown_classes(results, 30)
    assert (shown.names, shown.note) == (results.class_names, "")
    assert shown_classes(results, 4, ["class 07", "class 02"]).names == ("class 02", "class 07")


def test_of_more_those_on_which_models_agree_least_and_most(results: Results) -> None:
    means = {name: (7 * number) % 30 / 30 for number, name in enumerate(results.class_names)}
    shown = shown_classes(with_means(results, means), 4)
    assert shown.names == ("class 00", "class 13", "class 04", "class 17")
    assert shown.note == (
        "Of 30 classes, the 2 on which the models' maps agree least, then the 2 on which they agree most."
    )


def test_one_model_shows_what_it_gets_right_least_and_most_often(results: Results) -> None:
    right = [[10 if k == i and i not in (3, 8) else int(k == 0) for k in range(30)] for i in range(30)]
    model = {**results.models["last-0"], "splits": {"test": {"confusion": right}}}
    alone = replace(results, names=("last-0",), models={"last-0": model}, agreement=results.agreement.iloc[:0])
    shown = shown_classes(alone, 4)
    assert shown.names[:2] == ("class 03", "class 08")
    assert "lowest recall" in shown.note


def test_where_nothing_was_measured_the_first_are_shown(results: Results) -> None:
    model = {**results.models["last-0"], "splits": {"test": None}}
    alone = replace(results, names=("last-0",), models={"last-0": model}, agreement=results.agreement.iloc[:0])
    assert shown_classes(alone, 4).names == results.class_names[:4]


def test_of_many_classes_the_most_frequent_errors_replace_the_matrix(results: Results) -> None:
    counts = [[5 if k == i else 0 for k in range(30)] for i in range(30)]
    counts[4][2], counts[9][1] = 15, 5
    models = {name: {**model, "splits": {"test": {"confusion": counts}}} for name, model in results.models.items()}
    found = confusions(replace(results, models=models))[0]
    assert found["rows"] == []
    assert found["errors"] == [
        {"actual": "class 04", "predicted": "class 02", "images": "15", "share": "75 %"},
        {"actual": "class 09", "predicted": "class 01", "images": "5", "share": "50 %"},
    ]


def test_statements_that_hold_come_first_and_the_rest_is_counted(results: Results) -> None:
    found = [dict(each) for each in results.statements["statements"]]
    found[29] |= {"verdict": "supported"}
    section = statements_section(replace(results, statements={**results.statements, "statements": found}))
    items = {group["verdict"]: [*group["statements"], *group["more"]] for group in section["verdicts"]}
    assert [item["class_name"] for item in items["supported"]] == ["class 00", "class 29"]
    assert len(items["shown_not"]) == 18
    assert section["note"].startswith("20 of 30 classes are shown; nothing is supported of the others.")


def test_page_and_summary_are_bounded_and_say_so(many: World, results: Results) -> None:
    assert len(agreements(results)) == 20
    page = page_html(many.root)
    assert "over 120 images of 30 classes." in page
    assert page.count("Of 30 classes, the 10 on which the models") >= 3
    assert '<table class="matrix">\n      <caption>last-0' not in page
    summary = summary_of(results)
    assert summary.count("| last-0, last-1 |") == 20
    assert len(max(findings_of(results), key=len)) < 400


def test_up_to_ten_classes_are_described_one_by_one(world: World) -> None:
    few = load_results(world.root / "reports", world.root / "data/prepared")
    assert any("for infected" in each and "for uninfected" in each for each in findings_of(few))


def test_many_models_are_compared_by_family_and_their_matrix_is_clustered() -> None:
    names = ["a", "x", "b", "y"]
    alike = {("a", "b"): 0.9, ("x", "y"): 0.8, ("a", "x"): 0.1, ("a", "y"): 0.2, ("b", "x"): 0.0}
    alike |= {("b", "y"): float("nan")}
    both = alike | {(second, first): r for (first, second), r in alike.items()}
    order = clustered(names, both)
    assert {frozenset(order[:2]), frozenset(order[2:])} == {frozenset("ab"), frozenset("xy")}
    rows = [{"model_a": a, "model_b": b, "kind": "seeds", "mean": r, "centre": 0.1} for (a, b), r in alike.items()]
    found = by_family(rows, {"a": "A", "b": "A", "x": "X", "y": "X"}, ["centre"])
    assert {(row["model_a"], row["model_b"]): (row["low"], row["high"]) for row in found} == {
        ("A", "A"): (0.9, 0.9),
        ("X", "X"): (0.8, 0.8),
        ("A", "X"): (0.0, 0.2),
    }
    assert found[2]["mean"] == pytest.approx(0.1)


def test_the_page_of_many_models_names_families(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    few = load_results(world.root / "reports", world.root / "data/prepared")
    before = agreements(few)
    assert "families" not in agreement_note(few)
    monkeypatch.setattr(charts, "MANY_MODELS", 2)
    assert "families, which are the models of one recipe" in agreement_note(few)
    many = agreements(few)
    assert sorted(row["name"] for row in many[0]["rows"]) == sorted(row["name"] for row in before[0]["rows"])
    assert all(part["beside"] is None for part in many)
