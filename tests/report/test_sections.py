import json

import pytest

from tests.report.fake import World
from wheretolook.report.results import Results, load_results
from wheretolook.report.sections import confusions, located, model_rows
from wheretolook.report.sections_agreement import agreements
from wheretolook.report.sections_data import audit_section
from wheretolook.report.sections_differences import differences_section, p_value
from wheretolook.report.sections_faithfulness import faithfulness_section
from wheretolook.report.sections_statements import statement_lines, statements_section


@pytest.fixture(scope="module")
def results(world: World) -> Results:
    return load_results(world.root / "reports", world.root / "data/prepared")


def test_statements_stand_in_the_order_of_the_classes_with_who_vetoes_them(results: Results):
    infected, uninfected = statements_section(results)["classes"]
    assert infected["class_name"] == "infected"
    left_out = "without last-0 +0.10; without last-1 +0.10; without every-0 +0.10; without every-1 +0.30."
    assert infected["veto"] == ""
    assert infected["left_out"] == f"Lowest lower end of the excess over any null: +0.35 of all pairs; {left_out}"
    assert uninfected["veto"] == "Without every-1 the others would agree beyond every null."
    assert uninfected["left_out"].startswith("Lowest lower end of the excess over any null: -0.10 of all pairs; ")


def test_a_class_of_which_nothing_holds_is_told_as_that(results: Results):
    assert statement_lines(results)[1].startswith("About uninfected no statement holds (agreement beyond every null")


def test_wrong_predictions_are_counted(results: Results):
    wrong = {row["name"]: row["wrong"] for row in model_rows(results)}
    accuracy = {name: results.models[name]["splits"]["test"]["accuracy"] for name in results.names}
    assert wrong == {name: round(20 * (1 - accuracy[name])) for name in results.names}
    assert wrong["last-0"] > 0


def test_the_confusion_tells_right_from_wrong(results: Results):
    first = confusions(results)[0]["rows"]
    assert [[cell["right"] for cell in row["cells"]] for row in first] == [[True, False], [False, True]]
    assert sum(int(cell["text"]) for row in first for cell in row["cells"]) == 20


def test_a_head_that_was_not_trained_has_no_energy(results: Results):
    rows = located(results, ["block1", "block2", "block3"])["rows"]
    last = next(row for row in rows if (row["method"], row["model"]) == ("cam", "last-0"))
    assert [cell is None for cell in last["cells"]] == [True, True, False]


def test_the_matrix_of_agreement_is_symmetric_and_empty_on_its_diagonal(results: Results):
    rows = agreements(results)[0]["rows"]
    text = [[cell["text"] for cell in row["cells"]] for row in rows]
    assert all(text[i][i] == "" for i in range(4))
    assert text == [list(column) for column in zip(*text, strict=True)]


def test_differences_carry_shares_and_p_and_the_consensus(results: Results):
    section = differences_section(results)
    evidence, foreground = section["tables"][0]["rows"]
    assert (evidence["area"], evidence["cells"][0]) == ("1.0 %", {"share": "20.0 %", "p": "p < 0.001"})
    assert foreground["cells"][0]["p"] == "p = 0.300"
    assert section["consensus"] == (
        "In these 4 models, over images: 1 place with p up to 0.05 in all; without every-1 2. "
        "In 3 or more of 4: 2 (partial conjunction)."
    )


def test_cells_of_aligned_images_are_told_by_number_and_area(results: Results):
    side = {"cells": 5, "share_of_difference": 0.4, "share_of_area": 0.1}
    more = side | {"patches": [side | {"rows": [2, 3], "columns": [1, 2], "cells": 4}]}
    less = side | {"patches": [], "cells": 1}
    cells = {"images": 10, "rest": 12, "difference": 2.0, "cells": {"more": more, "less": less}}
    model = {"places": "cells", "permutations": 999, "classes": {"infected": cells}}
    tested = {"reason": None, "alpha": 0.05, "permutations": 999, "models": {"last-0": model}, "consensus": None}
    section = differences_section(Results(**{**vars(results), "differences": tested}))
    more, less, patch = section["tables"][0]["rows"]
    assert more["cells"] == [{"share": "40.0 %", "p": "5 cells, 10.0 % of area"}]
    assert less["cells"][0]["p"].startswith("1 cell,")
    assert patch["cells"][0]["p"] == "rows 2 to 3, columns 1 to 2"


def test_cells_without_a_p_value_are_told_as_that_and_why(results: Results):
    cells = {"images": 10, "rest": 12, "difference": 2.0, "cells": None}
    model = {"places": "cells", "permutations": 0, "classes": {"infected": cells}}
    tested = {"reason": None, "no_p_value": "12 relabellings exist", "alpha": 0.05, "permutations": 999}
    tested |= {"models": {"last-0": model}, "consensus": None}
    section = differences_section(Results(**{**vars(results), "differences": tested}))
    assert section["no_p_value"] == "12 relabellings exist"
    assert [row["cells"][0]["p"] for row in section["tables"][0]["rows"]] == ["no p-value", "no p-value"]


def test_training_images_and_groups_stand_beside_the_held_out(results: Results):
    part = agreements(results)[0]["beside"]
    pair = next(each for each in part["pairs"] if each["pair"] == "last-0, last-1")
    assert (pair["kind"], pair["train"], pair["groups"]) == (
        "one recipe, other seeds",
        "0.99",
        "4 groups: 0.50 to 0.90, SD 0.10",
    )


def test_too_few_relabellings_give_no_p_value():
    assert p_value(None) == "no p-value"
    assert p_value(0.0004) == "p < 0.001"


def test_faithfulness_names_the_models_for_which_it_is_undefined(results: Results):
    infected, uninfected = faithfulness_section(results)["classes"]
    assert infected["undefined"] == ""
    assert uninfected["undefined"] == "last-0, last-1, every-0 and every-1"
    assert infected["rows"][0]["gaps"] == ["0.80"] * 4
    assert uninfected["rows"][0]["gaps"] == [""] * 4


def test_the_audit_is_told_in_sentences(results: Results):
    lines = audit_section(results.audit)["lines"]
    assert lines[0].startswith("The same pixels more than once in a class: 2 images in 1 set, for instance infected/")
    assert lines[1] == "The same pixels under two labels: none found."
    groups = {"pattern": "x", "count": 9, "one_class": {"count": 3, "by_class": {}, "examples": {}}}
    odd = {
        **results.audit,
        "groups": groups,
        "dropped_classes": {"rare": {"images": 1, "reason": "too few"}},
        "unreadable": [{"image_id": "a/b.png", "reason": "cut"}],
    }
    told = " ".join(audit_section(odd)["lines"])
    assert "9 groups, none in two splits; 3 of them hold one class only." in told
    assert "Class rare was left out (1 image): too few" in told
    assert "Unreadable: a/b.png." in told


def test_pairs_of_one_recipe_stand_apart_from_those_of_different_ones(results: Results):
    charts = agreements(results)[0]["charts"]
    assert [kind for kind, _ in charts] == ["one recipe, other seeds", "different recipes"]
    assert sorted(row.label for row in charts[0][1].rows) == ["every-0, every-1", "last-0, last-1"]
    assert results.primary()["kind"].tolist() == sorted(results.primary()["kind"], key=["seeds", "recipes"].index)


def test_each_models_figures_stand_under_its_name(results: Results):
    found = json.loads(json.dumps(results.differences))  # a copy: the made-up models share their figures
    for number, name in enumerate(results.names):
        found["models"][name]["classes"]["infected"]["difference"] = number + 0.25
    section = differences_section(Results(**{**vars(results), "differences": found}))
    assert list(found["models"]) == sorted(results.names) != list(results.names)
    assert section["names"] == list(results.names)
    assert section["tables"][0]["differences"] == ["0.25", "1.25", "2.25", "3.25"]
