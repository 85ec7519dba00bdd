"""Models that repeat one training (twins), and statements about networks trained by one recipe.

A second copy of a network agrees with the first whatever it looks at, so it is no evidence. Models of one seed and
architecture share first weights, and the order and augmentation of the images: last-k and every-k of one seed have
weights that correlate by 0.98 after training. Each training counts once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from wheretolook.analysis.results.schema import LOCATED_ODDS, NECESSARY_FLIPS
from wheretolook.analysis.results.statement import Kind, Reason, Scope, Statement, Twin, Verdict
from wheretolook.analysis.statements.pooled import Findings
from wheretolook.analysis.statements.rules import Condition, Estimate, judge
from wheretolook.analysis.statistics.permutation import mean_over_seeds, pairs_over_seeds

# Honest seeds have residual logits that correlate by up to 0.99 on easy data; a copy moved by 1e-7, by 1 - 1e-10.
EQUAL = 0.9999


def find_twins(
    about: Mapping[str, Mapping[str, Any]],
    logits: Mapping[str, np.ndarray],
    maps: Mapping[str, np.ndarray],
    labels: np.ndarray,
    drive: Sequence[str] = (),
) -> list[Twin]:
    """Models that repeat one before them.

    Args:
        about: "model" of each manifest, by name, in order.
        logits: (n, K) of each model.
        maps: (n, c) primary maps of each model that has them, on its own grid.
        labels: (n,) true classes: correlations are within classes, so that being right counts for nothing.
        drive: names of models whose training is not known for sure.
    """
    found: list[Twin] = []
    single: list[str] = []
    residuals = {name: _within_classes(values, labels) for name, values in logits.items()}
    for name in about:
        compared = (_twin(name, first, about, residuals, maps, drive) for first in single)
        twin = next((each for each in compared if each is not None), None)
        if twin is None:
            single.append(name)
        else:
            found.append(twin)
    return found


def _twin(
    name: str,
    first: str,
    about: Mapping[str, Mapping[str, Any]],
    residuals: Mapping[str, np.ndarray],
    maps: Mapping[str, np.ndarray],
    drive: Sequence[str],
) -> Twin | None:
    a, b = about[first], about[name]
    if a["sha256"] == b["sha256"]:
        return Twin(name, first, "same file")
    figures = {"logits": correlation(residuals[first], residuals[name])}
    if first in maps and name in maps and maps[first].shape == maps[name].shape:
        figures["maps"] = correlation(maps[first], maps[name])
    if min(figures.values()) >= EQUAL:
        return Twin(name, first, "same weights", figures)
    trained_here = first not in drive and name not in drive
    same_seed = trained_here and a.get("seed") is not None and a.get("seed") == b.get("seed")
    same_start = same_seed and a.get("architecture") == b.get("architecture")
    if same_start:
        return Twin(name, first, "same seed", figures)
    return None


def correlation(first: np.ndarray, second: np.ndarray) -> float:
    """Pearson's r of two arrays of one shape, 0 where one of them is constant."""
    a, b = (each.ravel().astype(np.float64) - each.mean(dtype=np.float64) for each in (first, second))
    size = np.sqrt((a @ a) * (b @ b))
    return float(a @ b / size) if size > 0 else 0.0


def _within_classes(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Logits less their mean over classes of each image, and less the mean of each class."""
    out = logits.astype(np.float64) - logits.mean(axis=1, keepdims=True, dtype=np.float64)
    for k in np.unique(labels):
        out[labels == k] -= out[labels == k].mean(axis=0)
    return out


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
