"""Statements that the models look at a region and need it, or else decide by a property of the whole image."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from wheretolook.analysis.localisation.common_place import OnRegion, odds_ratio
from wheretolook.analysis.results.schema import (
    CUE_FLIPS,
    INFILLS,
    LOCATED_AUROC,
    LOCATED_ODDS,
    NECESSARY_FLIPS,
    SUFFICIENT_KEPT,
)
from wheretolook.analysis.results.statement import Figure, Kind, Reason, Statement, Verdict
from wheretolook.analysis.statements.pooled import (
    Findings,
    Interventions,
    Row,
    Sampling,
    fewest_images,
    images_of_all,
    mean_estimate,
    pooled_rows,
    rows_by_model,
)
from wheretolook.analysis.statements.rules import Condition, Estimate, judge, left_open

LOCAL = 0.5  # share of the image up to which a region is a place in it, and not most of it
REST = "rest of the foreground"  # of a class that has evidence, which lies in the foreground


def place(found: Findings, models: Sequence[str], region: str, sampling: Sampling, blank: Statement) -> Statement:
    """The maps lie on a region, and the predictions need it."""
    rest = region == "foreground" and _has(found, "evidence", models)
    statement = replace(blank, kind=Kind.PLACE, region=REST if rest else region)
    own = found.located[region]
    images = images_of_all(own, models)
    groups = found.groups[images]
    figures = [own[name].of(images) for name in models]
    area = float(np.mean([each.area.mean() for each in figures]))
    best = np.mean([each.best_energy for each in figures], axis=0)
    ceiling = odds_ratio(float(best.mean()), area)
    best_auroc = float(np.mean([each.best_auroc.mean() for each in figures]))
    shown = (Figure("area", area), Figure("highest odds ratio", ceiling), Figure("highest AUROC", best_auroc))
    if ceiling < LOCATED_ODDS or best_auroc < LOCATED_AUROC:
        return replace(statement, reason=Reason.UNREACHABLE, figures=shown)
    located = _located(figures, models, groups, area, sampling)
    if located is None:
        return replace(statement, reason=Reason.FEW_IMAGES, figures=shown)
    pooled = located
    # A small hot spot in a large region has nearly all of the energy and an AUROC below 0.5: two measures that
    # contradict each other show nothing.
    contradict = any(each.p_for <= 0.025 for each in pooled) and any(each.p_against <= 0.025 for each in pooled)
    if contradict:
        pooled = [replace(each, shows_not=False) for each in pooled]
    needed, gap = necessity(found, models, region)
    if rest:  # what was infilled is the foreground with the evidence, which says nothing about the rest
        needed, gap = [], Reason.NECESSITY_MISSING
    judged = judge(statement, [*pooled, *needed], found.images)
    judged = replace(judged, figures=(*judged.figures, *shown))
    if contradict and judged.verdict is Verdict.CANNOT_TELL and judged.reason is not Reason.MODELS_DIFFER:
        return left_open(judged, Reason.MEASURES_DISAGREE)
    decided = judged.reason in (Reason.NOT_LOCATED, Reason.MODELS_DIFFER)
    return left_open(judged, gap) if gap is not None and not decided else judged


def _has(found: Findings, region: str, models: Sequence[str]) -> bool:
    own = found.located.get(region)
    return own is not None and bool(images_of_all(own, models).any())


def _located(
    figures: Sequence[OnRegion], models: Sequence[str], groups: np.ndarray, area: float, sampling: Sampling
) -> list[Condition] | None:
    """Conditions on where the maps lie, over all models and by model."""
    beyond = [each.beyond(LOCATED_ODDS) for each in figures]
    energy = mean_estimate(np.mean([each.energy for each in figures], axis=0), groups, sampling, (0.0, 1.0))
    surplus = mean_estimate(np.mean(beyond, axis=0), groups, sampling, (-1.0, 1.0))
    auroc = mean_estimate(np.mean([each.auroc for each in figures], axis=0), groups, sampling, (0.0, 1.0))
    if surplus is None or auroc is None or energy is None:
        return None
    value, low, high = (odds_ratio(each, area) for each in (energy.value, energy.low, energy.high))
    odds = Figure("odds ratio", value, low, high, LOCATED_ODDS)
    alone = {name: mean_estimate(own, groups, sampling, (-1.0, 1.0)) for name, own in zip(models, beyond, strict=True)}
    heights = {
        name: mean_estimate(each.auroc, groups, sampling, (0.0, 1.0))
        for name, each in zip(models, figures, strict=True)
    }
    height = auroc.figure("AUROC", LOCATED_AUROC)
    return [
        Condition(surplus, 0.0, Reason.NOT_LOCATED, odds, by_model=_known(alone)),
        Condition(auroc, LOCATED_AUROC, Reason.NOT_LOCATED, height, by_model=_known(heights)),
    ]


def _known(by_model: Mapping[str, Estimate | None]) -> dict[str, Estimate]:
    return {name: each for name, each in by_model.items() if each is not None}


def necessity(found: Findings, models: Sequence[str], region: str) -> tuple[list[Condition], Reason | None]:
    """Conditions that infilling a region changes predictions, beyond control places, by two families of infills.

    Returns:
        Conditions; and the reason why nothing can be statement, None where something can.
    """
    rows = {name: rows_by_infill(found.interventions.get(name), "necessity", region) for name in models}
    infills = list(dict.fromkeys(infill for own in rows.values() for infill in own))
    conditions: list[list[Condition]] = []
    for infill in infills:
        own = {name: rows[name].get(infill) for name in models}
        flips, lost = pooled_rows(own, "excess_flips"), pooled_rows(own, "excess")
        if flips is not None and lost is not None:
            conditions.append(
                [
                    _needs(flips, NECESSARY_FLIPS, "flips beyond control", infill, own, "excess_flips"),
                    _needs(lost, 0.0, "log-odds lost beyond control", infill, own, "excess"),
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


def _needs(
    estimate: Estimate, threshold: float, name: str, infill: str, rows: Mapping[str, Row | None], key: str
) -> Condition:
    figure = estimate.figure(name, threshold, infill)
    of_models, images = rows_by_model(rows, key), fewest_images(rows)
    return Condition(estimate, threshold, Reason.NOT_NEEDED, figure, infill, by_model=of_models, images=images)


def _without_control(
    found: Findings, models: Sequence[str], region: str, infill: str, own: Mapping[str, Row | None]
) -> list[Condition]:
    """Conditions for a region that leaves no room for control places: needed, and enough by itself."""
    kept = {name: rows_by_infill(found.interventions.get(name), "sufficiency", region).get(infill) for name in models}
    flips, lost, left = pooled_rows(own, "flips"), pooled_rows(own, "log_odds"), pooled_rows(kept, "kept")
    if flips is None or lost is None or left is None:
        return []
    return [
        _needs(flips, NECESSARY_FLIPS, "flips", infill, own, "flips"),
        _needs(lost, 0.0, "log-odds lost", infill, own, "log_odds"),
        replace(_needs(left, SUFFICIENT_KEPT, "kept by the region alone", infill, kept, "kept"), shows_not=False),
    ]


def rows_by_infill(about: Interventions | None, kind: str, region: str) -> dict[str, Row]:
    """Rows about a region, by infill."""
    return {} if about is None else {row["infill"]: row for row in getattr(about, kind) if row["region"] == region}


def global_cue(found: Findings, models: Sequence[str], places: Sequence[str], blank: Statement) -> list[Statement]:
    """The predictions change with a property of the whole image, while no place in it is needed; none otherwise."""
    cues = {name: {row["cue"]: row for row in _cues(found.interventions.get(name))} for name in models}
    named = [cue for cue in next(iter(cues.values()), {}) if all(cue in own for own in cues.values())]
    # The object as a whole is what a property of the image is a property of: infilling it removes that, too.
    local = [
        region
        for region in places
        if region != "foreground"
        and np.mean([found.located[region][name].area[found.located[region][name].counts].mean() for name in models])
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
            of_models, images = rows_by_model(rows, "flips"), fewest_images({n: own[cue] for n, own in cues.items()})
            condition = Condition(flips, CUE_FLIPS, Reason.NO_CUE, figure, by_model=of_models, images=images)
            conditions.append((cue, condition))
    if not conditions:
        return []
    cue, best = max(conditions, key=lambda each: each[1].estimate.low)
    statement = judge(replace(blank, kind=Kind.GLOBAL_CUE, cue=cue), [best], found.images)
    more = tuple(each.figure for name, each in conditions if name != cue)
    # The best of several cues: its p-value counts as often as there are cues.
    p = None if statement.p is None else min(1.0, statement.p * len(conditions))
    return [replace(statement, figures=(*statement.figures, *more), p=p)]


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
