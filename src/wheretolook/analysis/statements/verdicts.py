"""All statements about one class (docs/method.md describes and justifies their conditions)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from wheretolook.analysis.classes.class_differences import PairDifference
from wheretolook.analysis.localisation.common_place import share_at_odds
from wheretolook.analysis.results.comparison_result import NULLS
from wheretolook.analysis.results.schema import FEWEST_IMAGES, LOCATED_ODDS
from wheretolook.analysis.results.statement import Figure, Kind, Reason, Statement, Verdict
from wheretolook.analysis.statements.place_statements import REST, global_cue, place
from wheretolook.analysis.statements.pooled import (
    Findings,
    Row,
    Sampling,
    components,
    fewest_images,
    images_of_all,
    mean_estimate,
    pooled_pairs,
    pooled_rows,
    rows_by_model,
)
from wheretolook.analysis.statements.rules import Condition, Estimate, judge, left_open

CAUSED = ("evidence", "mark")  # regions that other classes' images may lack, and are compared by look-alikes


def differences(
    found: Findings, models: Sequence[str], located: Sequence[Statement], sampling: Sampling, blank: Statement
) -> list[Statement]:
    """The models distinguish the class from each other class by a region: the worst of the others decides."""
    if not found.differences:
        if not found.untested:
            return []
        reason = Reason.NOT_ADDITIVE if found.untested == "not_additive" else Reason.NO_TEST
        return [replace(blank, kind=Kind.DIFFERENCE, reason=reason)]
    regions = dict.fromkeys(each.region for own in found.differences.values() for each in own if each.bears)
    places = {each.region: each for each in located}
    others = tuple(found.differences)
    out = []
    for region in regions:
        rest = region == "foreground" and "evidence" in {
            each.region for own in found.differences.values() for each in own
        }
        statement = replace(blank, kind=Kind.DIFFERENCE, region=REST if rest else region, others=others)
        cells = region not in ("evidence", "mark", "foreground", "background")
        conditions, missing = [], None
        for other, tested in found.differences.items():
            own = next((each for each in tested if each.region == region), None)
            part, gap = _differs(found, models, other, own, sampling)
            conditions += part
            missing = missing or (None if gap is Reason.LOOK_ALIKES_MISSING and _compared(found, region) else gap)
        if not conditions:
            out.append(replace(statement, reason=missing or Reason.NO_TEST))
            continue
        judged = judge(statement, conditions, found.images)
        if cells:  # the same places in both classes, described but not intervened on
            judged = replace(judged, exploratory=True)
        elif judged.verdict is not Verdict.SHOWN_NOT:
            at = places.get(statement.region)
            if at is not None and at.reason is Reason.NOT_NEEDED:
                judged = replace(judged, verdict=at.verdict, reason=at.reason, worst="", figures=at.figures, p=at.p)
            elif at is None or at.verdict is not Verdict.SUPPORTED:
                judged = left_open(judged, Reason.PLACE_NOT_SUPPORTED)
            elif missing is not None:
                judged = left_open(judged, missing)
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
    alone = {name: mean_estimate(own.influence([name])[1], own.groups, sampling) for name in models}
    by_model = {name: each for name, each in alone.items() if each is not None}
    conditions = [
        Condition(surplus, 0.0, Reason.NOT_CONCENTRATED, share, other, by_model=by_model),
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
    of_models, images = rows_by_model(rows, "difference"), fewest_images(rows)
    beyond = Condition(against, 0.0, Reason.LOOK_ALIKES, figure, other, by_model=of_models, images=images)
    return [*conditions, beyond], None


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
    places = [region for region, own in found.located.items() if images_of_all(own, models).sum() >= FEWEST_IMAGES]
    if obstacle is not None:
        barred = replace(blank, reason=obstacle.reason, worst=obstacle.worst, figures=obstacle.figures)
        of_places = [replace(barred, kind=Kind.PLACE, region=region) for region in places]
        compared = dict.fromkeys(each.region for own in found.differences.values() for each in own if each.bears)
        others = tuple(found.differences)
        of_pairs = [replace(barred, kind=Kind.DIFFERENCE, region=region, others=others) for region in compared]
        return [barred, *of_places, *of_pairs]
    occlusion = pooled_rows({name: _occlusion(found, name) for name in models}, "r")
    alike = checked_by_occlusion(agreement(found, models, margin, sampling, blank), occlusion)
    located = [checked_by_occlusion(place(found, models, region, sampling, blank), occlusion) for region in places]
    return [
        alike,
        *located,
        *differences(found, models, located, sampling, blank),
        *global_cue(found, models, places, blank),
    ]


def _occlusion(found: Findings, model: str) -> Row | None:
    about = found.interventions.get(model)
    return next(iter(about.occlusion), None) if about else None


def checked_by_occlusion(statement: Statement, r: Estimate | None) -> Statement:
    """The statement, left open where it rests on maps that occlusion contradicts.

    CAM and the gradient methods read weights, and are one map at a pooled head. Occlusion changes the image. Where the
    two correlate negatively (upper bound below 0), maps do not show where the networks look, on either side of a
    verdict. That a region is not needed was found by changing images, and remains.

    Args:
        statement: about agreement or a place.
        r: correlation of occlusion maps with the primary maps, mean over images and models; None: not measured.
    """
    if r is None:
        return statement
    figure = r.figure("r with occlusion", 0.0)
    rests_on_maps = statement.verdict is not Verdict.CANNOT_TELL and statement.reason is not Reason.NOT_NEEDED
    if rests_on_maps and r.high < 0:
        return replace(left_open(statement, Reason.FAMILIES_DISAGREE), figures=(figure, *statement.figures))
    return replace(statement, figures=(*statement.figures, figure))


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
    statement = judge(blank, conditions, found.images)
    observed = pooled_pairs(found.r, found.groups, chosen, sampling, (-1.0, 1.0))
    whole = found.r.valid[:, chosen].all(axis=1)
    parts = components(found.r.values[whole][:, chosen])
    spread = [Figure(f"SD between {name}s", getattr(parts, name)) for name in ("image", "pair")]
    more = [observed.figure("r")] if observed else []
    statement = replace(statement, figures=(*statement.figures, *more, *spread, Figure("SD left", parts.rest)))
    if statement.verdict is Verdict.SHOWN_NOT and len(chosen) > 1:
        excess = found.excess[statement.worst]
        means = [float(excess.values[excess.valid[:, i], i].mean()) if excess.valid[:, i].any() else 0 for i in chosen]
        best = chosen[int(np.argmax(means))]
        alone = pooled_pairs(excess, found.groups, [best], sampling, (-2.0, 2.0))
        if alone is not None and alone.low > margin:
            figures = (alone.figure("excess", margin, statement.worst), *statement.figures)
            opened = left_open(statement, Reason.MODELS_DIFFER, " and ".join(found.pairs[best]))
            return replace(opened, figures=figures)
    if statement.verdict is Verdict.SUPPORTED and len(models) > 2:
        for name in models:
            own = [i for i in chosen if name in found.pairs[i]]
            for baseline, excess in found.excess.items():
                pooled = pooled_pairs(excess, found.groups, own, sampling, (-2.0, 2.0))
                if pooled is not None and pooled.high < 0:
                    figures = (pooled.figure("excess", 0.0, baseline), *statement.figures)
                    return replace(left_open(statement, Reason.MODELS_DIFFER, name), figures=figures)
    return statement
