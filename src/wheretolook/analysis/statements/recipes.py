"""Models that repeat one training (twins), statements about networks trained by one recipe, and their basins.

A second copy of a network agrees with the first whatever it looks at, so it is no evidence. Models of one seed and
architecture share first weights, and the order and augmentation of the images: last-k and every-k of one seed have
weights that correlate by 0.98 after training. Each training counts once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from wheretolook.analysis.results.schema import FEWEST_IMAGES, LOCATED_ODDS, NECESSARY_FLIPS
from wheretolook.analysis.results.statement import Basins, Kind, Reason, Scope, Statement, Twin, Verdict
from wheretolook.analysis.statements.pooled import Findings, Sampling
from wheretolook.analysis.statements.rules import Condition, Estimate, judge
from wheretolook.analysis.statistics.bootstrap import mean_intervals
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


BASIN_DRAWS = 999  # of each null
BASIN_ALPHA = 0.01
BASIN_CLASSES = 10  # tested at most: with more tests, no p-value of so few draws could be small enough
EXAMPLES = 5


def basins_of(
    found: Findings, models: Sequence[str], image_ids: Sequence[str], tests: int, sampling: Sampling
) -> Basins | None:
    """Divide the models of a recipe by the agreement of their maps of one class, and test the division.

    Two nulls must both be rejected. Shuffling what is left of each pair's distance once every model's own mean is taken
    out rejects models that differ in how well they agree with all others. Drawing the models from one Gaussian with
    the same principal variances rejects those that differ gradually (compare SigClust: Liu et al. 2008).

    Args:
        found: of the class.
        models: of one recipe, six or more.
        image_ids: of the class's images.
        tests: classes and recipes that are tested, to adjust for.
        sampling: of the interval, and seed of the nulls.

    Returns:
        None where some pair was not compared, or on fewer than 20 images.
    """
    chosen = {frozenset(pair): i for i, pair in enumerate(found.pairs) if set(pair) <= set(models)}
    first, second = np.triu_indices(len(models), 1)
    wanted = [frozenset((models[a], models[b])) for a, b in zip(first.tolist(), second.tolist(), strict=True)]
    if found.r is None or not set(wanted) <= set(chosen):
        return None
    columns = [chosen[pair] for pair in wanted]
    there = found.r.valid[:, columns].all(axis=1)
    if there.sum() < FEWEST_IMAGES:
        return None
    r = found.r.values[there][:, columns]  # (n, P)
    distances = 2 * (1 - r.mean(axis=0))  # squared, of maps of mean 0 and length 1
    side = divide(distances)
    p_shuffled, p_unimodal = basin_nulls(distances, len(models), np.random.default_rng(sampling.seed))
    several = max(p_shuffled, p_unimodal) <= BASIN_ALPHA / tests
    same = side[first] == side[second]
    gap = r[:, same].mean(axis=1) - r[:, ~same].mean(axis=1)
    means = mean_intervals(gap[:, None], np.ones((1, 1), bool), found.groups[there], sampling.resamples, sampling.seed)
    basins = [[name for name, own in zip(models, side, strict=True) if own == k] for k in (True, False)]
    basins = sorted(basins, key=lambda each: models.index(each[0])) if several else [list(models)]
    ids = np.array(image_ids)[there]
    return Basins(
        models=list(models),
        images=int(there.sum()),
        within=float(r[:, same].mean()),
        between=float(r[:, ~same].mean()),
        gap_low=float(means.low[0]) if means.bounded[0] else None,
        gap_high=float(means.high[0]) if means.bounded[0] else None,
        p_shuffled=p_shuffled,
        p_unimodal=p_unimodal,
        several=several,
        basins=basins,
        recall=[float(np.mean([found.recognised[name].recall[0] for name in names])) for names in basins],
        examples=[str(name) for name in ids[np.argsort(-gap, kind="stable")[:EXAMPLES]]] if several else [],
    )


def divide(distances: np.ndarray) -> np.ndarray:
    """The best division into two by Ward's method: (M,) bool.

    Args:
        distances: (P,) squared distances of the pairs of M models, in the order of `np.triu_indices`.
    """
    from scipy.cluster.hierarchy import fcluster, linkage

    return fcluster(linkage(np.sqrt(np.maximum(distances, 0)), "ward"), 2, "maxclust") == 1


def explained(distances: np.ndarray, count: int) -> float:
    """Sum of squares that the best division explains; 0 where it cuts off a single model."""
    side = divide(distances)
    if min(side.sum(), (~side).sum()) < 2:
        return 0.0
    first, second = np.triu_indices(count, 1)
    parts = [(side[first] & side[second], side.sum()), (~side[first] & ~side[second], (~side).sum())]
    return float(distances.sum() / count - sum(distances[own].sum() / size for own, size in parts))


def basin_nulls(distances: np.ndarray, count: int, generator: np.random.Generator) -> tuple[float, float]:
    """p-values of the best division of M models under two nulls of one basin (`basins_of`)."""
    observed = explained(distances, count)
    if observed <= 0:
        return 1.0, 1.0
    first, second = np.triu_indices(count, 1)
    square = np.zeros((count, count))
    square[first, second] = square[second, first] = distances
    mean = distances.mean()
    own = (square.sum(axis=1) / (count - 1) - mean) * (count - 1) / (count - 2)
    fitted = mean + own[first] + own[second]
    centring = np.eye(count) - 1 / count
    variances = np.maximum(np.linalg.eigvalsh(-0.5 * centring @ square @ centring)[1:], 0)  # M - 1, classical scaling
    beyond = np.zeros(2)
    for _ in range(BASIN_DRAWS):
        shuffled = fitted + generator.permutation(distances - fitted)
        points = generator.normal(size=(count, count - 1))
        points = np.linalg.qr(points - points.mean(axis=0))[0] * np.sqrt(variances)
        drawn = ((points[first] - points[second]) ** 2).sum(axis=1)
        beyond += [explained(each, count) >= observed for each in (shuffled, drawn)]
    p_shuffled, p_unimodal = (beyond + 1) / (BASIN_DRAWS + 1)
    return float(p_shuffled), float(p_unimodal)
