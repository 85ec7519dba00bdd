"""Sentences about small changes of images and about groups of models, on figures made for each case."""

from dataclasses import replace
from typing import Any

import pytest

from tests.report.fake import World
from wheretolook.report.loaded import Results, load_results
from wheretolook.report.sections_faithfulness import stability_findings, stability_section
from wheretolook.report.statement_words import class_notes
from wheretolook.report.summary import summary_of

NAMES = ("last-0", "last-1")


@pytest.fixture(scope="module")
def results(world: World) -> Results:
    return load_results(world.root / "reports", world.root / "data/prepared")


def row(change: str, r: float | None, verdict: str = "stable", class_name: str = "infected") -> dict[str, Any]:
    ends = {"consistency_low": None, "consistency_high": None}
    if r is not None:
        ends = {"consistency_low": r - 0.02, "consistency_high": r + 0.02}
    about = {"maps": "cam.block3", "change": change, "class_name": class_name, "images": 20, "groups": 20}
    kept = {"kept": 0.95, "kept_low": 0.8, "kept_high": 1.0, "changed_images": 1, "responsiveness": None}
    return about | kept | ends | {"consistency": r, "other": 0.1, "random": 0.9, "distance": 0.1, "verdict": verdict}


def study(results: Results, rows: list[dict[str, Any]], seeds: float) -> Results:
    """The same results with these figures of two models of one recipe, whose maps agree by `seeds`."""
    models = {name: {**results.models[name], "stability": rows} for name in NAMES}
    agreement = results.agreement.copy()
    pairs = (agreement["primary"] == 1) & (agreement["figure"] == "pearson") & (agreement["subset"] == "all")
    agreement.loc[pairs, ["low", "mean", "high"]] = [seeds - 0.05, seeds, seeds + 0.05]
    return replace(results, models=results.models | models, agreement=agreement)


def test_nothing_is_shown_of_models_without_such_figures(results: Results) -> None:
    assert stability_section(results) is None
    assert stability_findings(results) == []
    assert "Stability" not in summary_of(results)


def test_changes_that_move_maps_less_than_another_seed_does_are_named(results: Results) -> None:
    other = study(results, [row("shift by 3 px", 0.95), row("jpeg", 0.9)], 0.5)
    (sentence,) = stability_findings(other)
    assert sentence == (
        "Small changes of the image leave the maps of infected alike (r 0.90 to 0.95); "
        "training with another seed moves them more (r 0.50) than any of these changes."
    )
    assert f"- {sentence}" in summary_of(other)


def test_a_change_that_moves_maps_more_than_another_seed_does_is_named(results: Results) -> None:
    (sentence,) = stability_findings(study(results, [row("shift by 3 px", 0.3, "unstable"), row("jpeg", 0.98)], 0.8))
    assert sentence == (
        "A shift by 3 px moves the maps of infected more than half as far as another image of the class would, "
        "in last-0 and last-1; training with another seed moves them more (r 0.80) than JPEG compression; "
        "a shift by 3 px moves them more than training with another seed (r 0.80)."
    )


@pytest.mark.parametrize("verdict", ["stable", "open"])
def test_overlapping_intervals_say_nothing_of_seeds(results: Results, verdict: str) -> None:
    (sentence,) = stability_findings(study(results, [row("flip", 0.8, verdict)], 0.8))
    assert "seed" not in sentence
    assert ("undecided" in sentence) == (verdict == "open")


def test_figures_without_an_interval_make_no_sentence(results: Results) -> None:
    other = study(results, [row("flip", None, "open")], 0.8)
    assert stability_findings(other) == []
    section = stability_section(other)
    assert section is not None
    assert section["classes"][0]["rows"][0]["cells"][0]["text"] == "–"


def test_groups_of_models_are_named_only_where_the_test_found_them() -> None:
    names = [f"m{i}" for i in range(6)]
    found = {"models": names, "images": 40, "within": 0.6, "between": 0.3, "gap_low": 0.25, "gap_high": 0.35}
    found |= {"p_shuffled": 0.001, "p_unimodal": 0.002, "several": True, "basins": [names[:3], names[3:]]}
    found |= {"recall": [0.9, 0.8], "examples": ["a/1.png", "a/2.png"]}
    about = {"without": {}, "basins": [found, found | {"several": False, "p_unimodal": 0.4, "basins": [names]}]}
    several, one = class_notes({"models": names, "classes": {"A": about}}, "A")
    assert several == (
        "By their maps of A, the six models of one recipe fall into two groups: m0, m1 and m2; and m3, m4 and m5. Maps "
        "correlate by 0.60 within a group and by 0.30 between the groups (difference 0.30 (0.25 to 0.35); p = 0.002). "
        "Mean recall is 90.0 % and 80.0 %. The groups differ most on a/1.png and a/2.png."
    )
    assert one == "The maps of A show no groups among the six models of one recipe (p = 0.400)."
    assert class_notes(None, "A") == []
