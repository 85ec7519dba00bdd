from typing import Any

import numpy as np
import pytest

from wheretolook.analysis.agreement.agreement_rows import NULLS
from wheretolook.analysis.classes.differing import Differing
from wheretolook.analysis.located.places import Place, common_place, places_of
from wheretolook.analysis.statements import rules
from wheretolook.analysis.statements.claims import Findings
from wheretolook.analysis.statements.statement_text import statements_markdown
from wheretolook.analysis.statements.statements import Witnesses, statements

MODELS = ("last-0", "last-1", "every-0")
ABOVE = dict.fromkeys(MODELS, 0.9)


def row(a: str, b: str, low: float | None = 0.4, random: bool = True) -> dict[str, Any]:
    found = {"model_a": a, "model_b": b, "random": 0.1 if random else None}
    return found | {f"excess_{null}_low": low if random or null != "random" else None for null in NULLS}


def rows(low: float | None = 0.4, random: bool = True) -> list[dict[str, Any]]:
    return [row(a, b, low, random) for i, a in enumerate(MODELS) for b in MODELS[i + 1 :]]


def place(region: str, energy: float, area: float = 0.02) -> Place:
    return Place(region, 40, energy, area, area, energy > 2 * area)


PARASITE = {name: [place("evidence", 0.3), place("foreground", 0.9, 0.6)] for name in MODELS}


def said(
    found: list[dict[str, Any]] | None = None,
    places: dict[str, list[Place]] = PARASITE,
    low: dict[str, float | None] = ABOVE,
    images: int = 40,
    models: tuple[str, ...] = MODELS,
) -> dict[str, Any]:
    classes = [Findings("infected", images, rows() if found is None else found, places), Findings("un", 40, rows(), {})]
    low = {name: low[name] for name in models}
    return statements(Witnesses(models, low), "test", classes, 0.2)["classes"]["infected"]


def rules_that_hold(about: dict[str, Any]) -> list[str]:
    return [each["rule"] for each in about["holds"]]


def test_agreement_beyond_every_null_is_said_and_the_evidence_named() -> None:
    about = said()
    assert rules_that_hold(about) == [rules.AGREEMENT, rules.PLACE]
    assert about["holds"][1]["statement"].endswith("look at the evidence.")
    assert "In these 3 models, over 40 test images of infected" in about["holds"][0]["statement"]
    assert [each["statement"].split()[-1] for each in about["must_not"]] == ["foreground."]


@pytest.mark.parametrize("low", [0.5, 0.41])
def test_one_model_at_chance_silences_all(low: float) -> None:
    about = said(low=ABOVE | {"last-1": low})
    assert about["holds"] == []
    assert about["must_not"][0]["rule"] == rules.CHANCE
    assert "last-1" in about["must_not"][0]["because"]


def test_a_p_value_is_not_enough_the_excess_must_reach_the_margin() -> None:
    weak = rows()
    weak[1]["excess_mean_map_low"] = 0.19
    about = said(weak)
    assert about["holds"] == []
    assert about["must_not"][0]["rule"] == rules.AGREEMENT
    assert "last-0 and every-0 over each model's own mean map" in about["must_not"][0]["because"]


def test_the_model_that_vetoes_is_named_by_leaving_it_out() -> None:
    found = [row("last-0", "last-1", 0.5), row("last-0", "every-0", -0.1), row("last-1", "every-0", 0.1)]
    assert said(found)["vetoes"] == {"last-0": 0.1, "last-1": -0.1, "every-0": 0.5}


def test_few_images_silence() -> None:
    few = said(images=19)["must_not"][0]
    assert (few["rule"], few["because"]) == (rules.ENOUGH, "found 19 images of the 20 that it takes")
    uncorrelated = said(rows(low=None))["must_not"][0]
    assert uncorrelated["rule"] == rules.ENOUGH
    assert uncorrelated["because"].startswith("found 40 images, but fewer than 20 of them, or of fewer than 10 groups,")


def silenced(scarce: dict[str, int], grouped: bool = False, images: int = 40) -> list[str]:
    """Why nothing is said of either class, where no accuracy has an interval."""
    witnesses = Witnesses(MODELS, dict.fromkeys(MODELS), scarce=scarce, grouped=grouped)
    classes = [Findings("infected", images, rows(), PARASITE), Findings("un", 6, rows(), {})]
    found = statements(witnesses, "test", classes, 0.2)["classes"]
    assert all(each["rule"] == rules.ENOUGH for about in found.values() for each in about["must_not"])
    assert all(about["holds"] == [] for about in found.values())
    return [about["must_not"][0]["because"] for about in found.values()]


def test_the_class_that_leaves_every_accuracy_without_an_interval_is_named_with_what_it_takes() -> None:
    takes = "no accuracy has an interval: it takes 10 images of every class in the test split, found"
    why = f"{takes} 6 of un; add images of it, raise prepare.test_share, or leave it out"
    assert silenced({"un": 6}) == [why, f"found 6 images of the 20 that it takes; {why}"]
    assert silenced({"un": 6}, images=19)[0] == f"found 19 images of the 20 that it takes; {why}"
    assert "it takes 10 groups of every class in the test split, found 6 of un;" in silenced({"un": 6}, grouped=True)[0]
    many = silenced({"a": 9, "b": 4, "c": 5, "d": 8, "e": 9})[0]
    assert "found 4 of b, 5 of c, 8 of d and fewer than 10 of 2 more; add images of them" in many
    assert many.endswith("or leave them out")


def test_energy_is_told_beside_what_chance_and_a_blob_at_the_centre_have() -> None:
    energies = zip(MODELS, (0.3, 0.3, 0.36), strict=True)
    centred = {name: [Place("evidence", 40, energy, 0.1, 0.2, False)] for name, energy in energies}
    because = said(places=centred)["must_not"][0]["because"]
    assert because == (
        "3.0 to 3.6 times the energy that its area has by chance, 1.5 to 1.8 times that of a blob at the centre; "
        "not enough in any model"
    )


def test_one_model_says_nothing_about_a_class() -> None:
    about = said([], {"last-0": PARASITE["last-0"]}, models=("last-0",))
    assert about["holds"] == []
    assert about["must_not"][0]["rule"] == rules.ALONE


def test_null_that_was_not_tested_silences() -> None:
    about = said(rows(random=False))
    assert about["holds"] == []
    assert about["must_not"][0]["rule"] == rules.EVERY_NULL


def test_a_layer_of_too_few_cells_for_a_centre_silences() -> None:
    found = [each | {"excess_centre_low": None} for each in rows()]
    first = said(found)["must_not"][0]
    assert first["rule"] == rules.EVERY_NULL and "too few cells" in first["because"]


def test_model_without_primary_maps_silences() -> None:
    about = said([row("last-0", "last-1")])
    assert (about["must_not"][0]["rule"], about["must_not"][0]["because"]) == (rules.MAPS, "none of every-0")


def test_images_trained_on_make_no_statement() -> None:
    found = statements(Witnesses(MODELS, ABOVE), "train", [Findings("a", 40, rows(), PARASITE)], 0.2)
    assert found["classes"]["a"]["holds"] == []
    assert found["classes"]["a"]["must_not"][0]["rule"] == rules.HELD_OUT


def test_shortcut_names_the_mark_and_not_the_parasite_even_where_all_maps_are_alike() -> None:
    bait = {name: [place("evidence", 0.05), place("mark", 0.6), place("foreground", 0.4, 0.6)] for name in MODELS}
    about = said(rows(0.01), bait)
    assert rules_that_hold(about) == [rules.MARK]
    assert about["holds"][0]["statement"].endswith("look at the mark.")
    assert any(each["statement"].endswith("look at the evidence.") for each in about["must_not"])


def test_mark_comes_first_wherever_it_is_pointed_out_at_all() -> None:
    bait = {name: [place("evidence", 0.3), place("mark", 0.1)] for name in MODELS}
    about = said(places=bait)
    assert [each["statement"].split()[-1] for each in about["holds"]] == ["image.", "mark."]
    assert "mark comes before it" in about["must_not"][0]["because"]
    bait["last-0"] = PARASITE["last-0"]
    assert rules_that_hold(said(places=bait)) == [rules.AGREEMENT]


def test_models_that_point_out_different_regions_have_no_common_place() -> None:
    assert common_place(PARASITE | {"last-1": [place("mark", 0.5)]}) is None
    assert common_place(PARASITE | {"last-1": [place("evidence", 0.03)]}) is None
    assert common_place(PARASITE) == "evidence"


def test_page_has_every_class_and_rule() -> None:
    classes = [Findings("a", 40, rows(), {}), Findings("b", 9, [], {})]
    text = statements_markdown(statements(Witnesses(MODELS, ABOVE), "test", classes, 0.2))
    assert "## a" in text
    assert "## b" in text
    assert all(f"**{rule}**" in text for rule in rules.WORDS)


def test_place_is_pointed_out_only_where_energy_is_twice_area_and_centre() -> None:
    rng = np.random.default_rng(0)
    count = 60
    found = {"positive": np.ones(count, bool)}
    for region, energy, area, centre in (
        ("evidence", 0.3, 0.02, 0.1),
        ("mark", 0.3, 0.02, 0.16),
        ("foreground", 0.9, 0.6, 0.7),
    ):
        found |= {region: np.ones(count, bool), f"{region}.energy": energy + 0.02 * rng.normal(size=count)}
        found |= {f"{region}.area_share": np.full(count, area), f"{region}.centre_energy": np.full(count, centre)}
    places = places_of(found, np.arange(count), 199, 0)
    assert [(p.region, p.pointed_out) for p in places] == [("evidence", True), ("mark", False), ("foreground", False)]
    assert places[0].ratio == pytest.approx(15, rel=0.1)


def differing(region: str, share: float, p: float = 0.001, low: float = 0.1) -> Differing:
    return Differing(f"the {region}", region, p, 0.05, dict.fromkeys(MODELS, share), dict.fromkeys(MODELS, low), None)


def told(places: list[Differing], images: int = 40, low: dict[str, float | None] = ABOVE) -> dict[str, Any]:
    found = Findings("infected", images, rows(), {}, 40, {MODELS: places}, "")
    other = Findings("un", 40, rows(), {})
    return statements(Witnesses(MODELS, low), "test", [found, other], 0.2)["classes"]["infected"]


def differences_in(said_of: list[dict[str, str]]) -> list[str]:
    return [each["statement"].split(" from the rest ")[1] for each in said_of if " from the rest " in each["statement"]]


def test_place_of_the_difference_is_said_with_its_shares_in_these_models_over_images() -> None:
    about = told([differing("evidence", 0.3), differing("foreground", 0.5, low=-0.1)])
    assert differences_in(about["holds"]) == ["at the evidence."]
    held = about["holds"][1]
    assert held["statement"].startswith("In these 3 models, over 40 test images of infected and 40 of the rest, ")
    assert held["because"].startswith("30 to 30 % of the difference of mean logits on 5 % of the area")
    assert "not at least twice" in about["must_not"][0]["because"]


def test_p_value_of_one_model_or_a_class_at_chance_or_few_images_forbid_the_difference() -> None:
    for about, rule in (
        (told([differing("evidence", 0.3, p=0.06)]), rules.DIFFERENCE),
        (told([differing("evidence", 0.3)], low=ABOVE | {"last-0": 0.5}), rules.CHANCE),
        (told([differing("evidence", 0.3)], images=19), rules.ENOUGH),
    ):
        assert differences_in(about["holds"]) == []
        assert about["must_not"][-1]["rule"] == rule
    few = told([differing("evidence", 0.3)], images=19)["must_not"][-1]["because"]
    assert few == "found 19 images and 40 of the rest; it takes 20 of each"


def test_mark_that_holds_the_difference_comes_before_the_evidence() -> None:
    about = told([differing("evidence", 0.3), differing("mark", 0.5)])
    assert differences_in(about["holds"]) == ["at the mark."]
    in_one = Differing("the mark", "mark", 0.3, 0.05, dict.fromkeys(MODELS, 0.2), {"last-0": 0.1, "last-1": -0.1}, None)
    assert differences_in(told([differing("evidence", 0.3), in_one])["holds"]) == []


def test_no_place_at_all_is_told() -> None:
    assert differences_in(told([])["must_not"]) == ["at one place."]
