"""Conditions of the statement that the models distinguish two classes by a region."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from wheretolook.analysis.classes.pair_differences import PairDifference
from wheretolook.analysis.localisation.common_place import share_at_odds
from wheretolook.analysis.statements.place_statements import REST
from wheretolook.analysis.statements.pooled import Findings, Sampling, mean_estimate, pooled_rows
from wheretolook.analysis.statements.rules import Condition, judge, left_open
from wheretolook.results.statement import Figure, Kind, Reason, Statement, Verdict
from wheretolook.results.thresholds import LOCATED_ODDS

CAUSED = ("evidence", "mark")  # regions that other classes' images may lack, and are compared by look-alikes


def differences(
    found: Findings, models: Sequence[str], located: Sequence[Statement], sampling: Sampling, blank: Statement
) -> list[Statement]:
    """The models distinguish the class from each other class by a region: the worst of the others decides."""
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
