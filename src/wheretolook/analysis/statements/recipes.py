"""Recipes: models that differ in nothing but the seed, and what holds of networks trained by the recipe.

The models are the sample. Where all seeds train on the same images, this is about seeds alone; models of one recipe on
other draws of the data (`train.resample`) have a recipe of their own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from wheretolook.analysis.statements.findings import Findings
from wheretolook.analysis.statements.rules import LOCATED_ODDS, NECESSARY_FLIPS, Condition, Estimate, judge
from wheretolook.analysis.statements.statement import Kind, Reason, Scope, Statement, Verdict
from wheretolook.analysis.statistics.over_seeds import mean_over_seeds, pairs_over_seeds


def recipes_of(models: Mapping[str, Mapping[str, Any]], drive: Sequence[str]) -> list[tuple[str, ...]]:
    """Models trained here by one recipe, a model for each seed, recipe by recipe.

    Args:
        models: "model" of each manifest, by name, in order.
        drive: names of the models that came from Drive: how they were trained is not known for sure.
    """
    found: dict[str, dict[Any, str]] = {}
    for name, about in models.items():
        if name not in drive and about.get("seed") is not None:
            found.setdefault(about["recipe"], {}).setdefault(about["seed"], name)
    return [tuple(seeds.values()) for seeds in found.values()]


def over_seeds(said: Statement, found: Findings, models: Sequence[str], margin: float) -> Statement:
    """A statement that holds of the models of a recipe, tested over its seeds.

    Args:
        said: supported, about these models.
        found: of the class.
        models: of one recipe, six or more.
        margin: by which agreement must exceed each baseline.
    """
    conditions = {Kind.AGREEMENT: _agreement, Kind.PLACE: _place, Kind.DIFFERENCE: _difference}[said.kind]
    judged = judge(replace(said, scope=Scope.RECIPE, figures=()), conditions(said, found, models, margin), found.images)
    return replace(judged, reason=Reason.SEEDS) if judged.verdict is not Verdict.SUPPORTED else judged


def _agreement(said: Statement, found: Findings, models: Sequence[str], margin: float) -> list[Condition]:
    chosen = [i for i, pair in enumerate(found.pairs) if set(pair) <= set(models)]
    out = []
    for baseline, excess in found.excess.items():
        means = {found.pairs[i]: float(excess.values[excess.valid[:, i], i].mean()) for i in chosen}
        estimate = _estimate(*pairs_over_seeds(means), len(models))
        out.append(_condition(estimate, margin, f"excess over {baseline}"))
    return out


def _place(said: Statement, found: Findings, models: Sequence[str], margin: float) -> list[Condition]:
    own = {name: found.located[said.region][name] for name in models}
    beyond = [float(each.beyond(LOCATED_ODDS)[each.counts].mean()) for each in own.values()]
    out = [_condition(_estimate(*mean_over_seeds(np.array(beyond)), len(models)), 0.0, "energy beyond the threshold")]
    by_infill: dict[str, list[float]] = {}
    for name in models:
        for row in found.interventions[name].necessity:
            key = "excess_flips" if row.get("excess_flips") is not None else "flips"
            if row["region"] == said.region and row.get(key) is not None:
                by_infill.setdefault(row["infill"], []).append(float(row[key]))
    for infill, values in by_infill.items():
        if len(values) == len(models):
            estimate = _estimate(*mean_over_seeds(np.array(values)), len(models))
            out.append(_condition(estimate, NECESSARY_FLIPS, f"flips, {infill}"))
    return out


def _difference(said: Statement, found: Findings, models: Sequence[str], margin: float) -> list[Condition]:
    out = []
    for other, places in found.differences.items():
        own = next(each for each in places if each.region == said.region)
        values = [own.influence([name])[0] for name in models]
        scale = [float(np.std(own.surplus[name])) or 1.0 for name in models]  # logits differ in scale from seed to seed
        estimate = _estimate(*mean_over_seeds(np.array(values) / scale), len(models))
        out.append(_condition(estimate, 0.0, f"surplus against {other}"))
    return out


def _estimate(mean: float, low: float, models: int) -> Estimate:
    return Estimate(mean, low, 2 * mean - low, models - 1)


def _condition(estimate: Estimate, threshold: float, name: str) -> Condition:
    return Condition(estimate, threshold, Reason.SEEDS, estimate.figure(name, threshold), shows_not=False)
