"""The conditions of each kind of statement about one class (docs/method.md describes and justifies them)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from wheretolook.analysis.agreement.agreement_table import NULLS
from wheretolook.analysis.classes.pair_differences import PairDifference
from wheretolook.analysis.localisation.common_place import OnRegion, odds_ratio, share_at_odds
from wheretolook.analysis.statements.pooled import (
    Findings,
    Interventions,
    Row,
    Sampling,
    components,
    mean_estimate,
    pooled_pairs,
    pooled_rows,
)
from wheretolook.analysis.statements.rules import (
    CUE_FLIPS,
    INFILLS,
    LOCATED_AUROC,
    LOCATED_ODDS,
    NECESSARY_FLIPS,
    SUFFICIENT_KEPT,
    Condition,
    Estimate,
    judge,
)
from wheretolook.analysis.statements.statement import Figure, Kind, Reason, Statement, Verdict
from wheretolook.analysis.statistics.bootstrap import FEWEST_IMAGES

CAUSED = ("evidence", "mark")  # regions that other classes' images may lack, and are compared by look-alikes
REST = "rest of the foreground"  # of a class that has evidence, which lies in the foreground
LOCAL = 0.5  # share of the image up to which a region is a place in it, and not most of it


@dataclass(frozen=True)
class Obstacle:
    """What forbids any verdict about a class."""

    reason: Reason
    worst: str = ""
    figures: tuple[Figure, ...] = ()


def statements_of(
    found: Findings, models: Sequence[str], margin: float, sampling: Sampling, obstacle: Obstacle | None = None
) -> list[Statement]:
    """All statements about one class, before adjustment for their number.

    Args:
        found: of the class.
        models: names, each training once.
        margin: by which agreement must exceed each baseline.
        sampling: of the intervals.
        obstacle: what forbids any verdict, if anything does.
    """
    blank = Statement(
        Kind.AGREEMENT, found.class_name, Verdict.CANNOT_TELL, Reason.ALL_MET, tuple(models), found.images
    )
    obstacle = obstacle or not_recognised(found, models)
    places = [region for region, own in found.located.items() if _counted(own, models).sum() >= FEWEST_IMAGES]
    if obstacle is not None:
        barred = replace(blank, reason=obstacle.reason, worst=obstacle.worst, figures=obstacle.figures)
        asked = [replace(barred, kind=Kind.PLACE, region=region) for region in places]
        told = dict.fromkeys(each.region for own in found.differences.values() for each in own if each.bears)
        others = tuple(found.differences)
        return [barred, *asked, *(replace(barred, kind=Kind.DIFFERENCE, region=r, others=others) for r in told)]
    first = agreement(found, models, margin, sampling, blank)
    located = [place(found, models, region, sampling, blank) for region in places]
    return [
        first,
        *located,
        *differences(found, models, located, sampling, blank),
        *global_cue(found, models, places, blank),
    ]


def not_recognised(found: Findings, models: Sequence[str]) -> Obstacle | None:
    """Why the class is not recognised by every model; None where it is."""
    for name in models:
        about = found.recognised.get(name)
        if about is None:
            return Obstacle(Reason.FEW_IMAGES)
        failed = about.fails()
        if failed is None:
            continue
        if failed < 0:
            return Obstacle(Reason.NOT_RECOGNISED, name, (Figure("recall", *about.recall, about.chance, name),))
        other = found.class_names[failed]
        return Obstacle(Reason.NOT_RECOGNISED, other, (Figure("AUROC", *about.discrimination[failed], 0.5, other),))
    return None


def agreement(found: Findings, models: Sequence[str], margin: float, sampling: Sampling, blank: Statement) -> Statement:
    """Mean correlation of the maps of one image, beyond every baseline by the margin."""
    chosen = [i for i, pair in enumerate(found.pairs) if set(pair) <= set(models)]
    without = [name for name in models if not any(name in found.pairs[i] for i in chosen)]
    if without or found.r is None:
        return replace(blank, reason=Reason.NO_MAPS, worst=", ".join(without))
    conditions = []
    for baseline in NULLS:
        excess = found.excess.get(baseline)
        pooled = None if excess is None else pooled_pairs(excess, found.groups, chosen, sampling, (-2.0, 2.0))
        if pooled is None:
            reason = Reason.BASELINE_MISSING if excess is None else Reason.FEW_IMAGES
            return replace(blank, reason=reason, worst=baseline)
        figure = pooled.figure("excess", margin, baseline)
        conditions.append(Condition(pooled, margin, Reason.BELOW_MARGIN, figure, baseline))
    said = judge(blank, conditions, found.images)
    observed = pooled_pairs(found.r, found.groups, chosen, sampling, (-1.0, 1.0))
    whole = found.r.valid[:, chosen].all(axis=1)
    parts = components(found.r.values[whole][:, chosen])
    spread = [Figure(f"SD between {name}s", getattr(parts, name)) for name in ("image", "pair")]
    more = [observed.figure("r")] if observed else []
    said = replace(said, figures=(*said.figures, *more, *spread, Figure("SD left", parts.rest)))
    if said.verdict is Verdict.SUPPORTED and len(models) > 2:
        for name in models:
            own = [i for i in chosen if name in found.pairs[i]]
            for baseline, excess in found.excess.items():
                pooled = pooled_pairs(excess, found.groups, own, sampling, (-2.0, 2.0))
                if pooled is not None and pooled.high < 0:
                    figures = (pooled.figure("excess", 0.0, baseline), *said.figures)
                    return replace(_open(said, Reason.MODELS_DIFFER, name), figures=figures)
    return said


def _open(said: Statement, reason: Reason, worst: str = "") -> Statement:
    """The same, without a verdict."""
    return replace(said, verdict=Verdict.CANNOT_TELL, reason=reason, worst=worst, p=None)


def _counted(own: Mapping[str, OnRegion], models: Sequence[str]) -> np.ndarray:
    """Images that count in all of the models, (n,) bool; none where a model is missing."""
    if any(name not in own for name in models):
        return np.zeros(1, dtype=bool)
    return np.all([own[name].counts for name in models], axis=0)


def place(found: Findings, models: Sequence[str], region: str, sampling: Sampling, blank: Statement) -> Statement:
    """The maps lie on a region, and the predictions need it."""
    rest = region == "foreground" and _has(found, "evidence", models)
    said = replace(blank, kind=Kind.PLACE, region=REST if rest else region)
    own = found.located[region]
    images = _counted(own, models)
    groups = found.groups[images]
    figures = [own[name].of(images) for name in models]
    area = float(np.mean([each.area.mean() for each in figures]))
    best = np.mean([each.best_energy for each in figures], axis=0)
    ceiling = odds_ratio(float(best.mean()), area)
    best_auroc = float(np.mean([each.best_auroc.mean() for each in figures]))
    shown = (Figure("area", area), Figure("highest odds ratio", ceiling), Figure("highest AUROC", best_auroc))
    if ceiling < LOCATED_ODDS or best_auroc < LOCATED_AUROC:
        return replace(said, reason=Reason.UNREACHABLE, figures=shown)
    located = _located(figures, models, groups, area, sampling)
    if located is None:
        return replace(said, reason=Reason.FEW_IMAGES, figures=shown)
    pooled, by_model = located
    if apart := next((name for name, ends in by_model.items() if ends), None):
        others_in = any(not ends for ends in by_model.values())
        if others_in and judge(said, pooled, found.images).verdict is Verdict.SUPPORTED:
            return replace(_open(said, Reason.MODELS_DIFFER, apart), figures=(pooled[0].figure, *shown))
    if rest:
        # What was infilled is the foreground with the evidence: its necessity says nothing about the rest.
        needed, gap = [], Reason.NECESSITY_MISSING
    else:
        needed, gap = necessity(found, models, region)
    judged = judge(said, [*pooled, *needed], found.images)
    judged = replace(judged, figures=(*judged.figures, *shown))
    return _open(judged, gap) if gap is not None and judged.reason is not Reason.NOT_LOCATED else judged


def _has(found: Findings, region: str, models: Sequence[str]) -> bool:
    own = found.located.get(region)
    return own is not None and bool(_counted(own, models).any())


def _located(
    figures: Sequence[OnRegion], models: Sequence[str], groups: np.ndarray, area: float, sampling: Sampling
) -> tuple[list[Condition], dict[str, bool]] | None:
    """Conditions on where the maps lie, over all models; and by model, whether it alone is shown not to lie there."""
    beyond = [each.beyond(LOCATED_ODDS) for each in figures]
    energy = mean_estimate(np.mean([each.energy for each in figures], axis=0), groups, sampling, (0.0, 1.0))
    surplus = mean_estimate(np.mean(beyond, axis=0), groups, sampling, (-1.0, 1.0))
    auroc = mean_estimate(np.mean([each.auroc for each in figures], axis=0), groups, sampling, (0.0, 1.0))
    if surplus is None or auroc is None or energy is None:
        return None
    ratios = (odds_ratio(value, area) for value in (energy.value, energy.low, energy.high))
    odds = Figure("odds ratio", *ratios, LOCATED_ODDS)
    pooled = [
        Condition(surplus, 0.0, Reason.NOT_LOCATED, odds),
        Condition(auroc, LOCATED_AUROC, Reason.NOT_LOCATED, auroc.figure("AUROC", LOCATED_AUROC)),
    ]
    by_model = {}
    for name, each, own in zip(models, figures, beyond, strict=True):
        alone, height = mean_estimate(own, groups, sampling, (-1.0, 1.0)), mean_estimate(each.auroc, groups, sampling)
        by_model[name] = bool((alone and alone.high < 0) or (height and height.high < LOCATED_AUROC))
    return pooled, by_model


def necessity(found: Findings, models: Sequence[str], region: str) -> tuple[list[Condition], Reason | None]:
    """Conditions that infilling a region changes predictions, beyond control places, by two families of infills.

    Returns:
        Conditions; and the reason why nothing can be said, None where something can.
    """
    rows = {name: _rows(found.interventions.get(name), "necessity", region) for name in models}
    infills = list(dict.fromkeys(infill for own in rows.values() for infill in own))
    conditions: list[list[Condition]] = []
    for infill in infills:
        own = {name: rows[name].get(infill) for name in models}
        flips, lost = pooled_rows(own, "excess_flips"), pooled_rows(own, "excess")
        if flips is not None and lost is not None:
            conditions.append(
                [
                    _needs(flips, NECESSARY_FLIPS, "flips beyond control", infill),
                    _needs(lost, 0.0, "log-odds lost beyond control", infill),
                ]
            )
        elif uncontrolled := _without_control(found, models, region, infill, own):
            conditions.append(uncontrolled)
    if len(conditions) < INFILLS:
        return [], Reason.NECESSITY_MISSING
    needs = [all(c.p_for <= 0.025 for c in own) for own in conditions]
    not_needed = [any(c.p_against <= 0.025 for c in own) for own in conditions]
    every = [condition for own in conditions for condition in own]
    if any(needs) and any(not_needed):
        return every, Reason.INFILLS_DISAGREE
    if not all(not_needed):
        every = [replace(condition, shows_not=False) for condition in every]
    return every, None


def _needs(estimate: Estimate, threshold: float, name: str, infill: str) -> Condition:
    return Condition(estimate, threshold, Reason.NOT_NEEDED, estimate.figure(name, threshold, infill), infill)


def _without_control(
    found: Findings, models: Sequence[str], region: str, infill: str, own: Mapping[str, Row | None]
) -> list[Condition]:
    """Conditions for a region that leaves no room for control places: needed, and enough by itself."""
    kept = {name: _rows(found.interventions.get(name), "sufficiency", region).get(infill) for name in models}
    flips, lost, left = pooled_rows(own, "flips"), pooled_rows(own, "log_odds"), pooled_rows(kept, "kept")
    if flips is None or lost is None or left is None:
        return []
    return [
        _needs(flips, NECESSARY_FLIPS, "flips", infill),
        _needs(lost, 0.0, "log-odds lost", infill),
        replace(_needs(left, SUFFICIENT_KEPT, "kept by the region alone", infill), shows_not=False),
    ]


def _rows(about: Interventions | None, kind: str, region: str) -> dict[str, Row]:
    """Rows about a region, by infill."""
    return {} if about is None else {row["infill"]: row for row in getattr(about, kind) if row["region"] == region}


def differences(
    found: Findings, models: Sequence[str], located: Sequence[Statement], sampling: Sampling, blank: Statement
) -> list[Statement]:
    """The class is told from each other class by a region: the worst of the others decides."""
    if not found.differences:
        if not found.untested:
            return []
        return [replace(blank, kind=Kind.DIFFERENCE, reason=Reason.NO_TEST)]
    regions = dict.fromkeys(each.region for own in found.differences.values() for each in own if each.bears)
    places = {each.region: each for each in located}
    others = tuple(found.differences)
    out = []
    for region in regions:
        rest = region == "foreground" and "evidence" in {
            each.region for own in found.differences.values() for each in own
        }
        said = replace(blank, kind=Kind.DIFFERENCE, region=REST if rest else region, others=others)
        cells = region not in ("evidence", "mark", "foreground", "background")
        conditions, missing = [], None
        for other, tested in found.differences.items():
            own = next((each for each in tested if each.region == region), None)
            part, gap = _differs(found, models, other, own, sampling)
            conditions += part
            missing = missing or (None if gap is Reason.LOOK_ALIKES_MISSING and _compared(found, region) else gap)
        if not conditions:
            out.append(replace(said, reason=missing or Reason.NO_TEST))
            continue
        judged = judge(said, conditions, found.images)
        if cells:  # the same places in both classes, described but not intervened on
            judged = replace(judged, exploratory=True)
        elif judged.verdict is not Verdict.SHOWN_NOT:
            at = places.get(said.region)
            if at is not None and at.reason is Reason.NOT_NEEDED:
                judged = replace(judged, verdict=at.verdict, reason=at.reason, worst="", figures=at.figures, p=at.p)
            elif at is None or at.verdict is not Verdict.SUPPORTED:
                judged = _open(judged, Reason.PLACE_NOT_SUPPORTED)
            elif missing is not None:
                judged = _open(judged, missing)
        out.append(judged)
    return out


def _compared(found: Findings, region: str) -> bool:
    """Whether the region was compared with look-alikes of any other class: of many, those it is most confused with."""
    return any(row["region"] == region for about in found.interventions.values() for row in about.look_alikes)


def _differs(
    found: Findings, models: Sequence[str], other: str, own: PairDifference | None, sampling: Sampling
) -> tuple[list[Condition], Reason | None]:
    """Conditions of one pair of classes at one region; and what was not measured."""
    if own is None or any(name not in own.p for name in models):
        return [], Reason.NO_TEST
    _, influence = own.influence(models)
    surplus = mean_estimate(influence, own.groups, sampling)
    if surplus is None:
        return [], Reason.FEW_IMAGES
    p = max(own.p[name] for name in models)
    shares = [own.share[name] for name in models]
    known = [share for share in shares if share is not None]
    share = Figure(
        "share of the difference",
        float(np.mean(known)) if known else None,
        min(known, default=None),
        max(known, default=None),
        float(share_at_odds(np.array(own.area), LOCATED_ODDS)),
        other,
    )
    conditions = [
        Condition(surplus, 0.0, Reason.NOT_CONCENTRATED, share, other),
        Condition(surplus, 0.0, Reason.NOT_DIFFERENT, Figure("p", p, of=other), other, shows_not=False, p=p / 2),
    ]
    if own.region not in CAUSED:
        return conditions, None
    rows = {
        name: next(
            (
                row
                for row in getattr(found.interventions.get(name), "look_alikes", ())
                if row["region"] == own.region and row["other_class"] == other
            ),
            None,
        )
        for name in models
    }
    against = pooled_rows(rows, "difference")
    if against is None:
        return conditions, Reason.LOOK_ALIKES_MISSING
    figure = against.figure("beyond look-alikes", 0.0, other)
    return [*conditions, Condition(against, 0.0, Reason.LOOK_ALIKES, figure, other)], None


def global_cue(found: Findings, models: Sequence[str], places: Sequence[str], blank: Statement) -> list[Statement]:
    """The predictions change with a property of the whole image, while no place in it is needed; none otherwise."""
    cues = {name: {row["cue"]: row for row in _cues(found.interventions.get(name))} for name in models}
    named = [cue for cue in next(iter(cues.values()), {}) if all(cue in own for own in cues.values())]
    local = [
        region
        for region in places
        if np.mean([found.located[region][name].area[found.located[region][name].counts].mean() for name in models])
        < LOCAL
    ]
    measured = [necessity(found, models, region) for region in local]
    not_needed = [
        gap is None and bool(conditions) and all(c.shows_not for c in conditions) for conditions, gap in measured
    ]
    if not named or not measured or not all(not_needed):
        return []
    conditions = []
    for cue in named:
        rows = {name: _beyond_floor(own[cue]) for name, own in cues.items()}
        flips = pooled_rows(rows, "flips")
        if flips is not None:
            figure = flips.figure("flips beyond a harmless change", CUE_FLIPS, cue)
            conditions.append((cue, Condition(flips, CUE_FLIPS, Reason.NO_CUE, figure)))
    if not conditions:
        return []
    cue, best = max(conditions, key=lambda each: each[1].estimate.low)
    said = judge(replace(blank, kind=Kind.GLOBAL_CUE, cue=cue), [best], found.images)
    more = tuple(each.figure for name, each in conditions if name != cue)
    # The best of several cues: its p-value counts as often as there are cues.
    p = None if said.p is None else min(1.0, said.p * len(conditions))
    return [replace(said, figures=(*said.figures, *more), p=p)]


def _cues(about: Interventions | None) -> Sequence[Row]:
    """Rows of cues that are exchanged between images.

    What blur or shuffling destroys may push every image to one class, whatever decides.
    """
    return [row for row in about.cues if row.get("exchanged", True)] if about else ()


def _beyond_floor(row: Row) -> Row:
    """Flips beyond those of a harmless change of the same kind: paired by image where that was measured."""
    ends = ("", "_low", "_high")
    if row.get("excess_flips") is not None:
        return {f"flips{end}": row.get(f"excess_flips{end}") for end in ends}
    floor = row.get("floor_flips") or 0.0
    values = {f"flips{end}": row.get(f"flips{end}") for end in ends}
    return {key: None if value is None else value - floor for key, value in values.items()}
