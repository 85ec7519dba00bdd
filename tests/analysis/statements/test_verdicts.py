"""The conditions of each kind of statement, on figures made for one class."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from wheretolook.analysis.agreement.correlated import Counted
from wheretolook.analysis.classes.class_differences import PairDifference
from wheretolook.analysis.localisation.common_place import OnRegion
from wheretolook.analysis.results.comparison_result import NULLS
from wheretolook.analysis.results.statement import Kind, Reason, Scope, Statement, Verdict
from wheretolook.analysis.statements.pooled import Findings, Interventions, Recognition, Sampling, components
from wheretolook.analysis.statements.recipes import over_seeds
from wheretolook.analysis.statements.verdicts import Obstacle, statements_of

MODELS, IMAGES, SAMPLING = ("m0", "m1", "m2"), 40, Sampling(199, 0)
PAIRS = [("m0", "m1"), ("m0", "m2"), ("m1", "m2")]
GROUPS = np.arange(IMAGES)
KNOWN = Recognition((0.95, 0.85, 0.99), 0.5, {1: (0.99, 0.9, 1.0)})
NOISE = np.random.default_rng(0).normal(size=(IMAGES, 3))


def counted(mean: float | np.ndarray) -> Counted:
    return Counted(mean + 0.05 * NOISE, np.ones((IMAGES, 3), bool))


def region(energy: float, area: float = 0.05, auroc: float = 0.9, best: float = 0.97) -> OnRegion:
    full = np.full(IMAGES, 1.0)
    spread = 0.02 * NOISE[:, 0]
    return OnRegion(full > 0, energy + spread, area * full, auroc + spread, 0.99 * full, best * full)


def rows(flips: float = 0.8, infills: tuple[str, ...] = ("imputation", "blur"), **about: Any) -> list[dict[str, Any]]:
    ends = {"": 0.0, "_low": -0.05, "_high": 0.05}
    row = {"region": "evidence"} | {f"excess_flips{end}": flips + d for end, d in ends.items()}
    row |= {f"excess{end}": 5 * flips + d + 0.01 for end, d in ends.items()} | about
    return [row | {"infill": infill} for infill in infills]


def alike(difference: float = 2.0) -> list[dict[str, Any]]:
    ends = {"difference": difference, "difference_low": difference - 0.5, "difference_high": difference + 0.5}
    return [{"region": "evidence", "other_class": "b"} | ends]


def findings(
    located: Mapping[str, Mapping[str, OnRegion]] | None = None,
    necessity: list[dict[str, Any]] | None = None,
    **about: Any,
) -> Findings:
    own = Interventions(rows() if necessity is None else necessity, [], alike(), [])
    surplus = np.r_[np.ones(IMAGES), np.zeros(IMAGES)] + 0.1 * np.random.default_rng(1).normal(size=2 * IMAGES)
    difference = PairDifference(
        "evidence",
        np.arange(2 * IMAGES) < IMAGES,
        np.arange(2 * IMAGES),
        0.05,
        dict.fromkeys(MODELS, 0.001),
        dict.fromkeys(MODELS, 0.3),
        dict.fromkeys(MODELS, surplus),
        True,
    )
    whole = Findings(
        "a",
        GROUPS,
        dict.fromkeys(MODELS, KNOWN),
        PAIRS,
        counted(0.9),
        {null: counted(0.5) for null in NULLS},
        {"evidence": dict.fromkeys(MODELS, region(0.4))} if located is None else located,
        dict.fromkeys(MODELS, own),
        {"b": [difference]},
        "",
        ("a", "b"),
    )
    return replace(whole, **about)


def of(found: Findings, kind: Kind, models: tuple[str, ...] = MODELS) -> Statement:
    return next(said for said in statements_of(found, models, 0.2, SAMPLING) if said.kind is kind)


def test_three_true_sentences_are_supported() -> None:
    said = statements_of(findings(), MODELS, 0.2, SAMPLING)
    assert [(each.kind, each.region) for each in said] == [
        (Kind.AGREEMENT, ""),
        (Kind.PLACE, "evidence"),
        (Kind.DIFFERENCE, "evidence"),
    ]
    assert {each.verdict for each in said} == {Verdict.SUPPORTED}
    assert {each.images for each in said} == {IMAGES}


@pytest.mark.parametrize(
    ("about", "worst"),
    [
        (Recognition((0.4, 0.3, 0.6), 0.5, {1: (0.9, 0.8, 1.0)}), "m1"),
        (Recognition((0.9, 0.8, 1.0), 0.5, {1: (0.55, 0.45, 0.7)}), "b"),
    ],
)
def test_class_that_one_model_does_not_recognise_gets_no_statement(about: Recognition, worst: str) -> None:
    said = statements_of(findings(recognised=dict.fromkeys(MODELS, KNOWN) | {"m1": about}), MODELS, 0.2, SAMPLING)
    assert {(each.verdict, each.reason) for each in said} == {(Verdict.CANNOT_TELL, Reason.NOT_RECOGNISED)}
    assert said[0].worst == worst


def test_obstacle_bars_every_statement() -> None:
    said = statements_of(findings(), MODELS, 0.2, SAMPLING, Obstacle(Reason.TRAINED_ON))
    assert len(said) == 3
    assert {each.reason for each in said} == {Reason.TRAINED_ON}


def test_agreement_is_the_mean_over_pairs_and_must_exceed_every_baseline_by_the_margin() -> None:
    excess = findings().excess | {"mean_map": counted(np.array([0.5, 0.1, 0.4]))}  # one pair alone is below
    assert of(findings(excess=excess), Kind.AGREEMENT).verdict is Verdict.SUPPORTED
    low = of(findings(excess=findings().excess | {"mean_map": counted(0.05)}), Kind.AGREEMENT)
    assert (low.verdict, low.reason, low.worst) == (Verdict.SHOWN_NOT, Reason.BELOW_MARGIN, "mean_map")
    near = of(findings(excess=findings().excess | {"mean_map": counted(0.2)}), Kind.AGREEMENT)
    assert (near.verdict, near.reason) == (Verdict.CANNOT_TELL, Reason.IMPRECISE)
    assert near.minimum_detectable > 0


def test_model_that_shares_nothing_with_the_others_is_named() -> None:
    excess = {null: counted(np.array([0.9, -0.1, -0.1])) for null in NULLS}
    said = of(findings(excess=excess), Kind.AGREEMENT)
    assert (said.verdict, said.reason, said.worst) == (Verdict.CANNOT_TELL, Reason.MODELS_DIFFER, "m2")


def test_baseline_that_was_not_measured_leaves_agreement_open() -> None:
    excess = {null: each for null, each in findings().excess.items() if null != "random"}
    said = of(findings(excess=excess), Kind.AGREEMENT)
    assert (said.reason, said.worst) == (Reason.BASELINE_MISSING, "random")


def test_map_off_the_region_is_shown_not_to_hold_and_needs_no_infill() -> None:
    said = of(findings({"evidence": dict.fromkeys(MODELS, region(0.05, auroc=0.4))}, []), Kind.PLACE)
    assert (said.verdict, said.reason) == (Verdict.SHOWN_NOT, Reason.NOT_LOCATED)


@pytest.mark.parametrize(("energy", "area", "auroc"), [(0.98, 0.45, 0.45), (0.05, 0.05, 0.9)])
def test_energy_and_height_that_contradict_each_other_leave_a_place_open(
    energy: float, area: float, auroc: float
) -> None:
    spot = {"evidence": dict.fromkeys(MODELS, region(energy, area, auroc))}
    said = of(findings(spot), Kind.PLACE)
    assert (said.verdict, said.reason) == (Verdict.CANNOT_TELL, Reason.MEASURES_DISAGREE)
    assert of(findings(spot, rows(0.0)), Kind.PLACE).reason is Reason.NOT_NEEDED


@pytest.mark.parametrize(
    ("necessity", "verdict", "reason"),
    [
        ([], Verdict.CANNOT_TELL, Reason.NECESSITY_MISSING),
        (rows(infills=("imputation",)), Verdict.CANNOT_TELL, Reason.NECESSITY_MISSING),
        (rows(0.0), Verdict.SHOWN_NOT, Reason.NOT_NEEDED),
        (rows(0.1), Verdict.CANNOT_TELL, Reason.IMPRECISE),
        ([*rows(0.8, ("a",)), *rows(0.0, ("b",))], Verdict.CANNOT_TELL, Reason.INFILLS_DISAGREE),
        (rows(0.8, excess_flips_low=None), Verdict.CANNOT_TELL, Reason.NECESSITY_MISSING),
    ],
)
def test_place_needs_two_infills_that_agree(necessity: list, verdict: Verdict, reason: Reason) -> None:
    said = of(findings(necessity=necessity), Kind.PLACE)
    assert (said.verdict, said.reason) == (verdict, reason)


def test_region_without_room_for_controls_must_suffice_by_itself() -> None:
    ends = ("", "_low", "_high")
    bare = [
        row | {f"excess{end}": None for end in ends} | {f"excess_flips{end}": None for end in ends} for row in rows()
    ]
    bare = [row | {f"{key}{end}": 0.8 for key in ("flips", "log_odds") for end in ends} for row in bare]
    kept = [{"region": "evidence", "infill": row["infill"]} | {f"kept{end}": 0.9 for end in ends} for row in bare]
    for enough, verdict in ((kept, Verdict.SUPPORTED), ([], Verdict.CANNOT_TELL)):
        about = dict.fromkeys(MODELS, Interventions(bare, enough, alike(), []))
        assert of(findings(interventions=about), Kind.PLACE).verdict is verdict


@pytest.mark.parametrize("area", [0.3, 0.45, 0.6])
def test_centred_object_can_be_stated_and_refuted(area: float) -> None:
    on = {"evidence": dict.fromkeys(MODELS, region(0.97, area))}
    off = {"evidence": dict.fromkeys(MODELS, region(0.2 * area, area, 0.2))}
    assert of(findings(on), Kind.PLACE).verdict is Verdict.SUPPORTED
    assert of(findings(off), Kind.PLACE).verdict is Verdict.SHOWN_NOT


def test_region_that_no_map_of_the_grid_could_mark_is_open() -> None:
    said = of(findings({"evidence": dict.fromkeys(MODELS, region(0.06, best=0.55))}), Kind.PLACE)
    assert (said.verdict, said.reason) == (Verdict.CANNOT_TELL, Reason.UNREACHABLE)


def test_look_alikes_decide_whether_the_classes_are_told_apart() -> None:
    for difference, verdict, reason in (
        (-0.1, Verdict.CANNOT_TELL, Reason.IMPRECISE),
        (-1.0, Verdict.SHOWN_NOT, Reason.LOOK_ALIKES),
    ):
        about = dict.fromkeys(MODELS, Interventions(rows(), [], alike(difference), []))
        said = of(findings(interventions=about), Kind.DIFFERENCE)
        assert (said.verdict, said.reason, said.worst) == (verdict, reason, "b")
    unmeasured = dict.fromkeys(MODELS, Interventions(rows(), [], [], []))
    assert of(findings(interventions=unmeasured), Kind.DIFFERENCE).reason is Reason.LOOK_ALIKES_MISSING


def test_classes_are_not_told_apart_by_a_place_that_is_not_needed() -> None:
    said = of(findings(necessity=rows(0.0)), Kind.DIFFERENCE)
    assert (said.verdict, said.reason) == (Verdict.SHOWN_NOT, Reason.NOT_NEEDED)


def test_cells_are_described_and_called_exploratory() -> None:
    (own,) = findings().differences["b"]
    said = of(findings(differences={"b": [replace(own, region="2 cells, rows 1")]}), Kind.DIFFERENCE)
    assert (said.verdict, said.exploratory) == (Verdict.SUPPORTED, True)


def cue(name: str, flips: float, floor: float = 0.0) -> dict[str, Any]:
    return {"cue": name, "flips": flips, "flips_low": flips - 0.05, "flips_high": flips + 0.05, "floor_flips": floor}


def test_property_of_the_whole_image_is_named_where_no_place_is_needed() -> None:
    cues = [cue("hue", 0.9), cue("blur", 0.7, floor=0.5)]
    about = dict.fromkeys(MODELS, Interventions(rows(0.0), [], alike(), cues))
    said = of(findings(interventions=about), Kind.GLOBAL_CUE)
    assert (said.verdict, said.cue) == (Verdict.SUPPORTED, "hue")
    needed = dict.fromkeys(MODELS, Interventions(rows(), [], alike(), cues))
    assert Kind.GLOBAL_CUE not in {
        each.kind for each in statements_of(findings(interventions=needed), MODELS, 0.2, SAMPLING)
    }
    destroyed = dict.fromkeys(MODELS, Interventions(rows(0.0), [], alike(), [cue("blur", 0.9) | {"exchanged": False}]))
    assert Kind.GLOBAL_CUE not in {
        each.kind for each in statements_of(findings(interventions=destroyed), MODELS, 0.2, SAMPLING)
    }
    harmless = dict.fromkeys(MODELS, Interventions(rows(0.0), [], alike(), [cue("blur", 0.7, floor=0.5)]))
    assert of(findings(interventions=harmless), Kind.GLOBAL_CUE).verdict is Verdict.SHOWN_NOT


def test_components_of_variance_are_those_that_were_put_in() -> None:
    rng = np.random.default_rng(0)
    values = 0.3 * rng.normal(size=(2000, 1)) + 0.2 * rng.normal(size=(1, 200)) + 0.1 * rng.normal(size=(2000, 200))
    found = components(values)
    assert (found.image, found.pair, found.rest) == pytest.approx((0.3, 0.2, 0.1), rel=0.12)


SIX = tuple(f"m{i}" for i in range(6))


def six(spread: float) -> Findings:
    """Six models whose agreement and energy vary from seed to seed; images vary little."""
    of_model = 0.5 + spread * np.array([-1, -1, -1, -1, -1, 5.0]) / 5
    pairs = [(a, b) for i, a in enumerate(SIX) for b in SIX[i + 1 :]]
    means = np.array([(of_model[SIX.index(a)] + of_model[SIX.index(b)]) / 2 for a, b in pairs])
    excess = Counted(means + 0.01 * NOISE[:, :1], np.ones((IMAGES, 15), bool))
    located = {"evidence": {name: region(0.3 + spread * (of_model[i] - 0.5)) for i, name in enumerate(SIX)}}
    about = dict.fromkeys(SIX, Interventions(rows(), [], alike(), []))
    known = dict.fromkeys(SIX, KNOWN)
    whole = findings(located, excess=dict.fromkeys(NULLS, excess), interventions=about, recognised=known)
    return replace(whole, pairs=pairs, r=excess, differences={})


@pytest.mark.parametrize("kind", [Kind.AGREEMENT, Kind.PLACE])
def test_what_varies_from_seed_to_seed_is_not_said_of_the_recipe(kind: Kind) -> None:
    for spread, verdict, reason in (
        (0.05, Verdict.SUPPORTED, Reason.ALL_MET),
        (1.4, Verdict.CANNOT_TELL, Reason.SEEDS),
    ):
        found = six(spread)
        base = next(each for each in statements_of(six(0.05), SIX, 0.2, SAMPLING) if each.kind is kind)
        said = over_seeds(base, found, SIX, 0.2)
        assert (said.verdict, said.reason, said.scope) == (verdict, reason, Scope.RECIPE)


@pytest.mark.parametrize(
    ("high", "supported"),
    [(-0.125, set()), (0.125, {Kind.AGREEMENT, Kind.PLACE, Kind.DIFFERENCE})],
)
def test_occlusion_that_contradicts_the_maps_leaves_their_statements_open(high: float, supported: set[Kind]) -> None:
    occlusion = [{"r": -0.25, "r_low": -0.5, "r_high": high}]
    own = Interventions(rows(), [], alike(), [], occlusion)
    said = statements_of(findings(interventions=dict.fromkeys(MODELS, own)), MODELS, 0.2, SAMPLING)
    assert {each.kind for each in said if each.verdict is Verdict.SUPPORTED} == supported
    reasons = {each.kind: each.reason for each in said}
    assert (reasons[Kind.PLACE] is Reason.FAMILIES_DISAGREE) == (high < 0)
    figure = next(each for each in said[0].figures if each.name == "r with occlusion")
    assert (figure.value, figure.high, figure.threshold) == (-0.25, high, 0.0)


def test_region_that_infills_show_not_to_be_needed_stays_so_where_occlusion_contradicts_the_maps() -> None:
    own = Interventions(rows(0.0), [], alike(), [], [{"r": -0.25, "r_low": -0.5, "r_high": -0.1}])
    said = of(findings(interventions=dict.fromkeys(MODELS, own)), Kind.PLACE)
    assert (said.verdict, said.reason) == (Verdict.SHOWN_NOT, Reason.NOT_NEEDED)


def apart(*own: Interventions) -> Findings:
    return findings(interventions=dict(zip(MODELS, own, strict=True)))


def test_one_model_that_does_not_need_the_place_is_named_and_nothing_is_said_of_all() -> None:
    needs, needs_not = (Interventions(rows(flips), [], alike(), []) for flips in (0.8, 0.0))
    for found, kinds in (
        (apart(needs, needs, needs_not), (Kind.PLACE, Kind.DIFFERENCE)),
        (apart(*[Interventions(rows(), [], alike(), [])] * 2, Interventions(rows(), [], alike(-0.4), [])), ()),
    ):
        for kind in (Kind.PLACE, Kind.DIFFERENCE):
            said = of(found, kind)
            if kind in kinds or kind is Kind.DIFFERENCE:
                assert said.verdict is Verdict.CANNOT_TELL
            if kind is Kind.PLACE and kinds:
                assert (said.reason, said.worst) == (Reason.MODELS_DIFFER, "m2")
    mean_below = [Interventions(rows(flips), [], alike(), []) for flips in (0.0, 0.0, 0.25)]
    assert of(apart(*mean_below), Kind.PLACE).verdict is Verdict.CANNOT_TELL


def test_one_model_that_does_not_follow_the_cue_leaves_it_open() -> None:
    own = [Interventions(rows(0.0), [], alike(), [cue("hue", flips)]) for flips in (0.95, 0.95, 0.1)]
    said = of(apart(*own), Kind.GLOBAL_CUE)
    assert (said.verdict, said.reason, said.worst) == (Verdict.CANNOT_TELL, Reason.MODELS_DIFFER, "m2")


def test_one_pair_that_agrees_forbids_to_say_that_the_models_agree_no_better_than_a_baseline() -> None:
    excess = {null: counted(np.array([0.6, -0.3, -0.3])) for null in NULLS}
    said = of(findings(excess=excess), Kind.AGREEMENT)
    assert (said.verdict, said.reason, said.worst) == (Verdict.CANNOT_TELL, Reason.MODELS_DIFFER, "m0 and m1")


def test_object_that_is_needed_as_a_whole_does_not_hide_that_its_colour_decides() -> None:
    ends = ("", "_low", "_high")
    bare = {f"{key}{end}": 0.9 for key in ("flips", "log_odds") for end in ends}
    bare |= {f"{key}{end}": None for key in ("excess", "excess_flips") for end in ends} | {"region": "foreground"}
    whole = [bare | {"infill": infill} for infill in ("imputation", "blur")]
    kept = [{"region": "foreground", "infill": row["infill"]} | {f"kept{end}": 0.9 for end in ends} for row in whole]
    own = Interventions([*rows(0.0), *whole], kept, alike(), [cue("hue", 0.9)])
    both = {"evidence": dict.fromkeys(MODELS, region(0.4)), "foreground": dict.fromkeys(MODELS, region(0.9, 0.44))}
    said = of(findings(both, interventions=dict.fromkeys(MODELS, own)), Kind.GLOBAL_CUE)
    assert (said.verdict, said.cue) == (Verdict.SUPPORTED, "hue")
