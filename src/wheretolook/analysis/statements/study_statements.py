"""All statements of a study: `statements.json`."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from wheretolook.analysis.agreement.study import Study
from wheretolook.analysis.explained import Target, open_primary
from wheretolook.analysis.results import schema as thresholds
from wheretolook.analysis.results.comparison_result import (
    ClassResult,
    Primary,
    RecognitionResult,
    StatementsResult,
    ThresholdsUsed,
)
from wheretolook.analysis.results.schema import FEWEST_GROUPS, FEWEST_IMAGES, FEWEST_SEEDS
from wheretolook.analysis.results.statement import Basins, Figure, Kind, Reason, Statement, Twin, Verdict
from wheretolook.analysis.statements.pooled import Findings, Sampling, pooled_sums
from wheretolook.analysis.statements.recipes import BASIN_CLASSES, basins_of, find_twins, over_seeds, recipes_of
from wheretolook.analysis.statements.rules import Estimate, adjusted
from wheretolook.analysis.statements.study_findings import findings_of
from wheretolook.analysis.statements.verdicts import Obstacle, statements_of
from wheretolook.analysis.statistics.classification import effective_groups

FORMAT = 2
TARGET = "true class against its rivals"


def study_statements(
    study: Study,
    rows: Sequence[Mapping[str, Any]],
    scores: Mapping[str, Mapping[str, Any]],
    margin: float,
    aligned: bool,
    permutations: int,
    sampling: Sampling,
) -> StatementsResult:
    """The statements of a study.

    Args:
        study: models and images.
        rows: of `agreement_table`; the baseline of random weights is read from them.
        scores: reports/models/NAME.json by model, as far as it is there.
        margin: by which agreement must exceed each baseline.
        aligned: whether all images show things at the same place: cells are compared then, else regions of masks.
        permutations: of each class test.
        sampling: of each interval.
    """
    primary = {name: open_primary(maps, study.labels, study.primary) for name, maps in study.maps.items()}
    twins = _twins(study, primary)
    models = [name for name in study.names if name not in {twin.model for twin in twins}]
    about = {name: study.maps[name].manifest["model"] for name in models}
    recipes = recipes_of(about, study.drive)
    targets = {name: target for name in models if (target := primary[name]) is not None}
    findings = list(findings_of(study, models, targets, rows, scores, aligned, permutations, sampling))
    statements: list[Statement] = []
    for found in findings:
        of_class = statements_of(found, models, margin, sampling, _obstacle(study, models, found))
        statements += of_class
        for recipe in (each for each in recipes if len(each) >= FEWEST_SEEDS):
            of_recipe = of_class
            if tuple(recipe) != tuple(models):
                of_recipe = statements_of(found, recipe, margin, sampling, _obstacle(study, recipe, found))
            statements += [
                over_seeds(each, found, recipe, margin)
                for each in of_recipe
                if each.verdict is Verdict.SUPPORTED and each.kind is not Kind.GLOBAL_CUE and not each.exploratory
            ]
    basins = _basins(study, findings, [each for each in recipes if len(each) >= FEWEST_SEEDS], sampling)
    return StatementsResult(
        format=FORMAT,
        split=study.split,
        models=models,
        twins=twins,
        recipes=[list(recipe) for recipe in recipes],
        primary=Primary(method=study.primary, layer="last", figure="pearson", target=TARGET),
        thresholds=_thresholds(margin),
        classes={each.class_name: _class(each, models, basins[each.class_name], sampling) for each in findings},
        statements=adjusted(statements),
    )


def _basins(
    study: Study, findings: Sequence[Findings], recipes: Sequence[Sequence[str]], sampling: Sampling
) -> dict[str, list[Basins]]:
    """Basins of each recipe by class; of many classes, those with most images are tested."""
    tested = sorted(findings, key=lambda found: -found.images)[: max(1, BASIN_CLASSES // max(1, len(recipes)))]
    tests, ids = len(tested) * len(recipes), study.prepared.index["image_id"].to_numpy(dtype=str)[study.rows]
    out: dict[str, list[Basins]] = {found.class_name: [] for found in findings}
    for found in tested:
        own = ids[study.labels[study.rows] == study.class_names.index(found.class_name)]
        each = (basins_of(found, recipe, own, tests, sampling) for recipe in recipes)
        out[found.class_name] += [basins for basins in each if basins is not None]
    return out


def _thresholds(margin: float) -> ThresholdsUsed:
    return ThresholdsUsed(
        margin=margin,
        images=FEWEST_IMAGES,
        groups=FEWEST_GROUPS,
        seeds=FEWEST_SEEDS,
        odds_ratio=thresholds.LOCATED_ODDS,
        auroc=thresholds.LOCATED_AUROC,
        flips=thresholds.NECESSARY_FLIPS,
        kept=thresholds.SUFFICIENT_KEPT,
        cue_flips=thresholds.CUE_FLIPS,
        alpha=thresholds.ALPHA,
    )


def _twins(study: Study, targets: Mapping[str, Target | None]) -> list[Twin]:
    rows = study.rows[:: max(1, len(study.rows) // 200)]  # a copy is one on any images
    maps = {name: target.true_class(rows).reshape(len(rows), -1) for name, target in targets.items() if target}
    about = {name: each.manifest["model"] for name, each in study.maps.items()}
    logits = {name: each.logits()[study.rows] for name, each in study.maps.items()}
    return find_twins(about, logits, maps, study.labels[study.rows], study.drive)


def _obstacle(study: Study, models: Sequence[str], found: Findings) -> Obstacle | None:
    """What forbids any statement about a class, whatever its figures; None where nothing does."""
    if len(models) < 2:
        return Obstacle(Reason.ONE_MODEL)
    if study.split == "train":
        return Obstacle(Reason.TRAINED_ON)
    effective = effective_groups(study.labels[study.rows], study.groups[study.rows])
    if found.images < FEWEST_IMAGES:
        return Obstacle(Reason.FEW_IMAGES, "", (Figure("images", found.images, threshold=FEWEST_IMAGES),))
    k = study.class_names.index(found.class_name)
    if effective[k] < FEWEST_GROUPS:
        return Obstacle(Reason.FEW_IMAGES, "", (Figure("effective groups", effective[k], threshold=FEWEST_GROUPS),))
    return None


def _class(found: Findings, models: Sequence[str], basins: list[Basins], sampling: Sampling) -> ClassResult:
    recognition = {
        name: RecognitionResult(
            recall=each.recall,
            chance=each.chance,
            discrimination={found.class_names[j]: ends for j, ends in each.discrimination.items()},
        )
        for name, each in found.recognised.items()
    }
    without = without_each(found, models, sampling)
    return ClassResult(
        images=found.images, recognition=recognition, without=without, untested=found.untested, basins=basins
    )


def without_each(found: Findings, models: Sequence[str], sampling: Sampling) -> dict[str, float | None]:
    """Leave one model out: the lowest lower bound of any excess among the others, by the model left out."""
    pairs = np.array([set(pair) <= set(models) for pair in found.pairs], dtype=bool)
    own = {name: pairs & np.array([name in pair for pair in found.pairs], dtype=bool) for name in models}
    known: dict[str, list[Estimate | None]] = {name: [] for name in models}
    for excess in found.excess.values():
        valid = excess.valid & pairs
        values, counts = np.where(valid, excess.values, 0), valid.sum(axis=1)
        sums = values.sum(axis=1)
        for name in models:  # all pairs less those of the model, so that each model costs as many as it has
            left = sums - values[:, own[name]].sum(axis=1), counts - valid[:, own[name]].sum(axis=1)
            known[name].append(pooled_sums(*left, found.groups, sampling, (-2.0, 2.0)))
    out: dict[str, float | None] = {}
    for name, estimates in known.items():
        lows = [each.low for each in estimates if each is not None]
        left_pairs = bool((pairs & ~own[name]).any()) if len(found.pairs) else False
        out[name] = min(lows) if left_pairs and lows and len(lows) == len(estimates) else None
    return out


def load_scores(folder: Path, names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """reports/models/NAME.json of the models that have one: without it, what they need is unknown."""
    paths = {name: folder / f"{name}.json" for name in names}
    return {name: json.loads(path.read_text(encoding="utf-8")) for name, path in paths.items() if path.is_file()}
