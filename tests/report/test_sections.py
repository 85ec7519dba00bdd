import json
from dataclasses import replace

import pytest

from tests.report.fake import World, write_world
from wheretolook.report.headline import alerts_of
from wheretolook.report.loaded import Results, fails_sanity, load_results, sanity_lines
from wheretolook.report.plots import metrics_of
from wheretolook.report.sections_agreement import agreement_note, agreements, differences_section, p_value
from wheretolook.report.sections_data import audit_section
from wheretolook.report.sections_faithfulness import faithfulness_section, sanity_section
from wheretolook.report.sections_localisation import FIGURES, located_section
from wheretolook.report.sections_models import confusions, curves_section, located, model_rows
from wheretolook.report.sections_probing import cues_section, occlusion_section, regions_section
from wheretolook.report.summary import summary_of


@pytest.fixture(scope="module")
def results(world: World) -> Results:
    return load_results(world.root / "reports", world.root / "data/prepared")


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


def test_a_baseline_of_pretrained_networks_is_named(results: Results):
    assert agreement_note(results) == ""
    exports = dict(results.exports)
    arrays = exports["last-1"]["arrays"] | {"random.npy": {"weights": "pretrained (a1_in1k), with a random head"}}
    exports["last-1"] = exports["last-1"] | {"arrays": arrays}
    note = agreement_note(replace(results, exports=exports))
    assert note.startswith("For last-1, the baseline of random weights is the pretrained network with a random head.")


def test_differences_carry_shares_and_p_and_the_consensus(results: Results):
    section = differences_section(results)
    evidence, foreground = section["tables"][0]["rows"]
    assert (evidence["area"], evidence["cells"][0]) == ("1.0 %", {"share": "20.0 %", "p": "p < 0.001"})
    assert foreground["cells"][0]["p"] == "p = 0.300"
    assert foreground["name"] == "rest of the foreground"
    assert section["consensus"] == (
        "In these 4 models, over images: 1 place differs in every model at p ≤ 0.05, 2 in all but every-1, "
        "and 2 in at least 3 of 4 models (partial conjunction test)."
    )


def test_cells_of_aligned_images_are_given_by_number_and_area(results: Results):
    side = {"cells": 5, "share_of_difference": 0.4, "share_of_area": 0.1}
    more = side | {"patches": [side | {"rows": [2, 3], "columns": [1, 2], "grid": [3, 4], "cells": 4}]}
    less = side | {"patches": [], "cells": 1}
    cells = {"images": 10, "rest": 12, "difference": 2.0, "cells": {"more": more, "less": less}}
    model = {"places": "cells", "permutations": 999, "classes": {"infected": cells}}
    tested = {"reason": None, "alpha": 0.05, "permutations": 999, "models": {"last-0": model}, "consensus": None}
    section = differences_section(Results(**{**vars(results), "differences": tested}))
    more, less, patch = section["tables"][0]["rows"]
    assert more["cells"] == [{"share": "40.0 %", "p": "5 cells, 10.0 % of area"}]
    assert less["cells"][0]["p"].startswith("1 cell,")
    assert patch["cells"][0]["p"] == "4 cells, rows 2 to 3, columns 1 to 2 of 3 × 4 cells"


def test_cells_without_a_p_value_are_shown_as_such_with_the_reason(results: Results):
    cells = {"images": 10, "rest": 12, "difference": 2.0, "cells": None}
    model = {"places": "cells", "permutations": 0, "classes": {"infected": cells}}
    tested = {"reason": None, "no_p_value": "12 relabellings exist", "alpha": 0.05, "permutations": 999}
    tested |= {"models": {"last-0": model}, "consensus": None}
    section = differences_section(Results(**{**vars(results), "differences": tested}))
    assert section["no_p_value"] == "12 relabellings exist"
    assert [row["cells"][0]["p"] for row in section["tables"][0]["rows"]] == ["no p-value", "no p-value"]


def test_training_images_and_groups_are_shown_beside_the_held_out(results: Results):
    part = agreements(results)[0]["beside"]
    pair = next(each for each in part["pairs"] if each["pair"] == "last-0, last-1")
    assert (pair["kind"], pair["train"], pair["groups"]) == (
        "same recipe, other seed",
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


def test_maps_that_fail_the_sanity_check_are_named_and_marked(results: Results):
    section = sanity_section(results, ["block1", "block2", "block3"])
    assert section["failing"]
    fails = {
        (row["method"], row["model"]): [bool(cell and cell["fails"]) for cell in row["cells"]]
        for row in section["rows"]
    }
    assert fails["gradcam", "last-1"] == [True, False, False]
    assert fails["cam", "every-0"] == [False, False, False]
    assert [line.path[:2] for line in section["charts"][0].lines] == ["M4", "M4"]
    assert fails_sanity(results, "last-0", "gradcam", "block1")
    energy = next(row for row in located(results, ["block1", "block2", "block3"])["rows"] if row["method"] == "gradcam")
    assert [cell["mark"] for cell in energy["cells"]] == ["fails sanity", "", ""]
    assert not fails_sanity(results, "last-0", "cam", "block3")
    assert "- last-0: 3 of 4 pass; **fail:** gradcam.block1" in summary_of(results)


def test_the_summary_holds_the_map_between_the_evidence_and_noise(results: Results):
    lines = summary_of(results).splitlines()
    assert any(line.startswith("| last-0 | infected | ") and line.count("0.80") >= 2 for line in lines)
    assert any(line.startswith("| last-0 | uninfected | ") and line.count("undefined") == 3 for line in lines)


def probed(results: Results) -> Results:
    """The same results, with an infilled region, its look-alikes, cues and occlusion maps of one model."""
    row = {"class_name": "infected", "region": "evidence", "infill": "imputation", "images": 50, "control_flips": None}
    row |= {"flips": 0.9, "flips_low": 0.8, "flips_high": 0.95, "excess": None, "excess_low": None, "excess_high": None}
    kept = {**row, "kept": 0.7, "kept_low": 0.6, "kept_high": 0.8, "control_kept": 0.1}
    cue = {"cue": "hue", "class_name": "infected", "images": 50, "exchanged": True, "floor_flips": 0.02}
    cue |= {key: row[key] for key in ("flips", "flips_low", "flips_high")}
    like = {"class_name": "infected", "region": "evidence", "other_class": "uninfected"}
    like |= {f"{key}{end}": 1.0 for key in ("own", "best_elsewhere", "difference") for end in ("", "_low", "_high")}
    occluded = {"r": 0.5, "r_low": 0.4, "r_high": 0.6, "class_name": "infected"}
    added = {"necessity": [row, {**row, "infill": "blur", "control_flips": 0.1}], "sufficiency": [kept]}
    added |= {"global_cues": [cue, {**cue, "cue": "blur", "exchanged": False}], "look_alikes": [like]}
    added |= {"occlusion": [occluded, {**occluded, "class_name": "uninfected", "r_low": -0.1}]}
    return replace(results, models={**results.models, "last-0": {**results.models["last-0"], **added}})


def test_the_summary_has_a_row_for_each_infilled_region_and_exchanged_cue(results: Results):
    lines = summary_of(probed(results)).splitlines()
    assert any(
        line.startswith("| last-0 | infected | evidence | imputation | 50 | 0.90 (0.80 to 0.95) |") for line in lines
    )
    assert "| last-0 | hue | infected | 50 | 0.90 (0.80 to 0.95) | 0.02 |" in lines
    assert not any(line.startswith("| last-0 | blur |") for line in lines)


def test_an_infilled_region_has_a_chart_with_its_control_places(results: Results):
    assert regions_section(results) is None
    (part,) = regions_section(probed(results))["classes"]
    (region,) = part["regions"]
    assert [row.nulls and row.nulls[0][0] for row in region["chart"].rows] == [(), "control"]
    assert [row["control"] for row in region["rows"]] == ["–", "10 %"]
    assert region["sufficiency"][0]["kept"] == "70 % (60 to 80)"
    assert part["look_alikes"]["rows"][0]["other"] == "uninfected"


def test_only_exchanged_cues_are_tabled(results: Results):
    assert cues_section(results) is None
    section = cues_section(probed(results))
    assert section["names"] == ["last-0"]
    assert [(part["class_name"], len(part["rows"])) for part in section["classes"]] == [("infected", 1)]
    assert section["classes"][0]["rows"][0]["cells"] == [{"flips": "90 % (80 to 95)", "same": "2 %", "share": "0.900"}]


def test_occlusion_maps_are_compared_by_class(results: Results):
    assert occlusion_section(results) is None
    infected, uninfected = occlusion_section(probed(results))["classes"]
    assert infected["see"] != uninfected["see"], "one interval is above 0, the other is not"
    assert len(infected["chart"].rows) == 1


def test_where_the_interval_is_wide_nothing_is_decided(results: Results):
    undecided = {
        key: {**found, "verdict": "open", "baseline": None} for key, found in results.models["last-0"]["sanity"].items()
    }
    models = {**results.models, "last-0": {**results.models["last-0"], "sanity": undecided}}
    other = Results(**{**vars(results), "models": models})
    (line,) = [line for line in sanity_lines(other) if "last-0" in line]
    assert line.startswith("- last-0: 0 of 4 pass; undecided: ")
    assert not fails_sanity(other, "last-0", "gradcam", "block1")
    assert (
        sanity_section(
            Results(**{**vars(results), "models": {n: {**m, "sanity": None} for n, m in models.items()}}), []
        )
        is None
    )


def test_figures_of_where_maps_lie_are_shown_beside_their_baselines(results: Results):
    section = located_section(results)
    (part,) = section["classes"]
    assert part["class_name"] == "infected"
    assert part["names"] == list(results.names)
    first = {label: cells[0] for label, cells in part["lines"]}
    assert first["IoU with the evidence, at one threshold chosen on val"] == "0.30 (threshold 0.50)"
    assert (first["pixel AUROC"], first["average precision"]) == ("0.950", "0.600")
    assert (first[FIGURES["pointing"]], first[FIGURES["chance"]]) == ("90 %", "11 %")
    assert first[FIGURES["foreground"]] == "80.0 % (area 50.0 %)"
    assert "positive energy on the mark" not in first  # no image has one
    assert section["foreground"] == []
    assert [len(row["cells"]) for row in section["splits"]] == [3] * 4


def test_groups_are_summed_up_and_the_worst_named(results: Results):
    rows = located_section(results)["groups"]
    assert [row["figure"] for row in rows[:2]] == ["accuracy", "energy in the evidence"]
    assert rows[0]["worst"] == "P03 50 % of 4"
    assert "| last-0 | accuracy | 12 | 80.0 % (70.0 to 90.0) |" in summary_of(results)


def test_an_estimated_foreground_is_called_that_wherever_it_is_shown(tmp_path):
    world = write_world(tmp_path, names=("one",), per_class=4, grids=(4, 2), masks=False)
    bare = load_results(world.root / "reports", world.root / "data/prepared")
    section = located_section(bare)
    assert [row["energy"] for row in section["foreground"]] == ["70.0 % (60.0 to 80.0)"] * 2
    assert section["groups"][1]["figure"] == "energy in the estimated foreground"
    assert "## Energy on the estimated foreground" in summary_of(bare)
    assert metrics_of(bare)["one"]["foreground_estimated"]["infected"] == {"energy": 0.7, "ratio": 1.75}


def test_classic_curves_are_shown_only_of_models_that_have_them(results: Results):
    infected, uninfected = curves_section(results)["classes"]
    assert {row["model"] for row in infected["rows"]} == {"last-0"}
    assert [row["deletion"] for row in infected["rows"] if row["map"] == "random"] == ["0.400"]
    assert (infected["undefined"], uninfected["undefined"]) == ("", "last-0")
    assert [line.label for line in infected["charts"][0].lines] == ["deletion", "insertion"]
    nobody = {name: {**result, "curves": None} for name, result in results.models.items()}
    assert curves_section(Results(**{**vars(results), "models": nobody})) is None


def test_the_audit_is_described_in_sentences(results: Results):
    lines = audit_section(results.audit)["lines"]
    mixed = {**results.audit, "splits": dict(sorted(results.audit["splits"].items()))}
    assert audit_section(mixed)["splits"] == ["train", "val", "test"]
    assert lines[0].startswith(
        "The same pixels more than once in a class: 2 images (1 in test, 1 in train) in 1 set; for"
    )
    assert lines[1] == "The same pixels under two labels: none found."
    groups = {"pattern": "x", "count": 9, "one_class": {"count": 3, "by_class": {}, "examples": {}}}
    odd = {
        **results.audit,
        "groups": groups,
        "dropped_classes": {"rare": {"images": 1, "reason": "too few"}},
        "unreadable": [{"image_id": "a/b.png", "reason": "cut"}],
    }
    found = " ".join(audit_section(odd)["lines"])
    assert "9 groups, none in two splits; 3 of them have a single class." in found
    assert "Class rare was left out because it is too rare for every split: too few." in found
    assert "Unreadable: a/b.png." in found


def test_a_table_of_labels_is_named_with_what_was_left_out(results: Results):
    table = {
        "tables": [{"file": "labels.csv", "form": "csv", "rows": 1200}],
        "columns": {"path": "file", "label": "dx"},
        "attributes": ["hospital"],
        "bad_rows": {"rows without a file": {"count": 2, "examples": ["a.png", "b.png"]}},
    }
    lines = audit_section({**results.audit, "label_table": table})["lines"]
    assert lines[0] == "Table of labels: labels.csv (1,200 rows); path from file, label from dx. Attributes: hospital."
    assert lines[1] == "Left out: 2 rows without a file, such as a.png, b.png."


def test_attributes_have_a_row_for_each_value_and_model(results: Results):
    row = {"images": 30, "groups": 30, "accuracy": 0.8, "accuracy_low": 0.7, "accuracy_high": 0.9, "region": "evidence"}
    row |= {"energy": 0.6, "energy_low": None, "energy_high": None}
    of_model = {"attributes": {"hospital": {"test": {"A": row, "B": row}}}}
    other = replace(results, models={name: {**model, **of_model} for name, model in results.models.items()})
    rows = located_section(other)["attributes"]
    assert [(each["value"], each["name"]) for each in rows[:3]] == [("A", "last-0"), ("B", "last-0"), ("A", "last-1")]
    assert rows[0]["accuracy"] == "80.0 % (70.0 to 90.0)" and rows[0]["energy"] == "60.0 % in the evidence"
    assert "## By attribute" in summary_of(other)


def test_pairs_of_one_recipe_have_a_chart_of_their_own(results: Results):
    charts = agreements(results)[0]["charts"]
    assert [kind for kind, *_ in charts] == ["same recipe, other seed", "different recipes"]
    assert sorted(row.label for row in charts[0][1].rows) == ["every-0, every-1", "last-0, last-1"]
    assert results.primary()["kind"].tolist() == sorted(results.primary()["kind"], key=["seeds", "recipes"].index)


def test_agreement_without_an_interval_is_said_without_one(results: Results):
    rows = results.agreement.assign(low=float("nan"), high=float("nan"))
    said = agreements(replace(results, agreement=rows))[0]["charts"][0][1].rows[0].said
    assert "()" not in said and said.startswith("last-0, last-1: 0.8")


def test_each_models_figures_are_under_its_name(results: Results):
    found = json.loads(json.dumps(results.differences))  # a copy: the made-up models share their figures
    for number, name in enumerate(results.names):
        found["models"][name]["classes"]["infected"]["difference"] = number + 0.25
    section = differences_section(Results(**{**vars(results), "differences": found}))
    assert list(found["models"]) == sorted(results.names) != list(results.names)
    assert section["names"] == list(results.names)
    assert section["tables"][0]["differences"] == ["0.25", "1.25", "2.25", "3.25"]


def test_shares_of_a_difference_near_zero_are_not_shown(results: Results):
    def told(difference: float, shares: tuple[float, float]) -> list[str]:
        regions = [
            {"region": name, "share_of_difference": share, "share_of_area": 0.5, "p": 0.5}
            for name, share in zip(("evidence", "background"), shares, strict=True)
        ]
        of_class = {"images": 10, "rest": 10, "difference": difference, "regions": regions}
        model = {"places": "regions", "permutations": 999, "classes": {"infected": of_class}}
        tested = {"reason": None, "alpha": 0.05, "permutations": 999, "models": {"last-0": model}, "consensus": None}
        (table,) = differences_section(replace(results, differences=tested))["tables"]
        return [row["cells"][0]["share"] for row in table["rows"]]

    assert told(-0.4, (19.537, -18.537)) == ["no difference to share"] * 2
    assert told(-0.001, (0.6, 0.4)) == ["no difference to share"] * 2
    assert told(2.0, (1.4, -0.4)) == ["140.0 %", "−40.0 %"]


def test_each_map_has_its_own_baseline_in_the_sanity_table(results: Results):
    model = results.models["last-0"]
    sanity = {key: {**found, "baseline": i / 10} for i, (key, found) in enumerate(model["sanity"].items())}
    other = replace(results, models={**results.models, "last-0": {**model, "sanity": sanity}})
    rows = sanity_section(other, ["block1", "block2", "block3"])["rows"]
    shown = {
        f"{row['method']}.{layer}": cell["baseline"]
        for row in rows
        if row["model"] == "last-0"
        for layer, cell in zip(model["layers"], row["cells"], strict=True)
        if cell
    }
    assert shown == {key: f"{i / 10:.2f}" for i, key in enumerate(sanity)}


def test_a_class_whose_images_leave_no_ground_has_no_row_of_an_estimated_foreground(tmp_path):
    world = write_world(tmp_path, names=("one",), per_class=4, grids=(4, 2), masks=False)
    bare = load_results(world.root / "reports", world.root / "data/prepared")
    by_class = bare.models["one"]["foreground_estimated"]["cam.block2"]["test"]
    filled = {**by_class["infected"], "images": 0, "energy": None, "energy_low": None, "area_share": None}
    by_class |= {"infected": filled}
    assert [row["class_name"] for row in located_section(bare)["foreground"]] == ["uninfected"]


def test_copies_and_contradictory_labels_are_costed_first(results: Results):
    audit = results.audit
    near = {
        **audit["near_copies"],
        "of_trained": {"splits": {"val": 0, "test": 7}, "examples": [["a.png", "b.png"]]},
        "two_labels": {**audit["near_copies"]["two_labels"], "sets": 3, "images": 6, "splits": {"test": 6}},
    }
    conflicts = {"sets": 2, "images": 4, "splits": {"train": 0, "val": 0, "test": 4}, "examples": [["c.png", "d.png"]]}
    conflicts |= {"certain_errors": {"train": 0, "val": 0, "test": 2}}
    odd = replace(results, audit={**audit, "near_copies": near, "conflicts": conflicts})
    wrong, copied, doubted = alerts_of(odd)
    assert wrong.startswith("2 images of the test split ")
    assert wrong.endswith("Accuracy is at most 90.0 %.")
    assert copied.startswith("7 of 20 images of the test split (35 %) have near copies among the images of the train")
    assert doubted == "2 images of the test split have near copies under another label."
    lines = audit_section(odd.audit)["lines"]
    assert "7 images of test with a near copy in train, for instance a.png and b.png." in lines
    assert alerts_of(results) == []
