"""Statements from a study: its maps, logits and masks, and what `score` found by changing the images."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np

from wheretolook.analysis.agreement.agreement_table import figures_of, pairs_by_grid
from wheretolook.analysis.agreement.correlated import Counted
from wheretolook.analysis.agreement.study import Study, comparisons
from wheretolook.analysis.classes.contributions import by_cell, by_region
from wheretolook.analysis.classes.pair_differences import PairDifference, pair_differences
from wheretolook.analysis.explained import Target, open_primary
from wheretolook.analysis.grid import common_grid, regions_on_grid, row_blocks
from wheretolook.analysis.localisation.common_place import OnRegion, joined, on_regions
from wheretolook.analysis.statements import rules
from wheretolook.analysis.statements.pooled import Findings, Interventions, Sampling, pooled_pairs
from wheretolook.analysis.statements.recipes import find_twins, over_seeds, recipes_of
from wheretolook.analysis.statements.rules import adjusted
from wheretolook.analysis.statements.statement import Figure, Kind, Reason, Statement, Twin, Verdict
from wheretolook.analysis.statements.verdicts import Obstacle, statements_of
from wheretolook.analysis.statistics.bootstrap import FEWEST_GROUPS, FEWEST_IMAGES, FEWEST_SEEDS
from wheretolook.analysis.statistics.classification import effective_groups
from wheretolook.analysis.statistics.discrimination import recognition

FORMAT = 2
PRIMARY = {"method": "cam", "layer": "last", "figure": "pearson", "target": "true class against its rivals"}
Pairs = list[tuple[str, str]]


def study_statements(
    study: Study,
    rows: Sequence[Mapping[str, Any]],
    scores: Mapping[str, Mapping[str, Any]],
    margin: float,
    aligned: bool,
    permutations: int,
    sampling: Sampling,
) -> dict[str, Any]:
    """The content of `statements.json` (docs/results.md).

    Args:
        study: models and images.
        rows: of `agreement_table`; the baseline of random weights is read from them.
        scores: reports/models/NAME.json by model, as far as it is there.
        margin: by which agreement must exceed each baseline.
        aligned: whether all images show things at the same place: cells are compared then, else regions of masks.
        permutations: of each class test.
        sampling: of each interval.
    """
    targets = {name: open_primary(maps, study.labels) for name, maps in study.maps.items()}
    twins = _twins(study, targets)
    models = [name for name in study.names if name not in {twin.model for twin in twins}]
    about = {name: study.maps[name].manifest["model"] for name in models}
    recipes = recipes_of(about, study.drive)
    targets = {name: target for name in models if (target := targets[name]) is not None}
    findings = list(_findings(study, models, targets, rows, scores, aligned, permutations, sampling))
    said: list[Statement] = []
    for found in findings:
        of_class = statements_of(found, models, margin, sampling, _obstacle(study, models, found))
        said += of_class
        for recipe in (each for each in recipes if len(each) >= FEWEST_SEEDS):
            of_recipe = of_class
            if tuple(recipe) != tuple(models):
                of_recipe = statements_of(found, recipe, margin, sampling, _obstacle(study, recipe, found))
            said += [
                over_seeds(each, found, recipe, margin)
                for each in of_recipe
                if each.verdict is Verdict.SUPPORTED and each.kind is not Kind.GLOBAL_CUE and not each.exploratory
            ]
    return {
        "format": FORMAT,
        "split": study.split,
        "models": models,
        "twins": [asdict(twin) for twin in twins],
        "recipes": [list(recipe) for recipe in recipes],
        "primary": PRIMARY,
        "thresholds": _thresholds(margin),
        "classes": {each.class_name: _class(each, models, margin, sampling) for each in findings},
        "statements": [each.to_json() for each in adjusted(said)],
    }


def _thresholds(margin: float) -> dict[str, float]:
    return {
        "margin": margin,
        "images": FEWEST_IMAGES,
        "groups": FEWEST_GROUPS,
        "seeds": FEWEST_SEEDS,
        "odds_ratio": rules.LOCATED_ODDS,
        "auroc": rules.LOCATED_AUROC,
        "flips": rules.NECESSARY_FLIPS,
        "kept": rules.SUFFICIENT_KEPT,
        "cue_flips": rules.CUE_FLIPS,
        "alpha": rules.ALPHA,
    }


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


def _class(found: Findings, models: Sequence[str], margin: float, sampling: Sampling) -> dict[str, Any]:
    """Figures of a class that are about no single statement."""
    return {
        "images": found.images,
        "recognition": {
            name: {
                "recall": list(each.recall),
                "chance": each.chance,
                "discrimination": {found.class_names[j]: list(ends) for j, ends in each.discrimination.items()},
            }
            for name, each in found.recognised.items()
        },
        "without": without_each(found, models, sampling),
        "untested": found.untested,
    }


def without_each(found: Findings, models: Sequence[str], sampling: Sampling) -> dict[str, float | None]:
    """Leave one model out: the lowest lower bound of any excess among the others, by the model left out."""
    out: dict[str, float | None] = {}
    for name in models:
        chosen = [i for i, pair in enumerate(found.pairs) if name not in pair and set(pair) <= set(models)]
        pooled = [pooled_pairs(excess, found.groups, chosen, sampling, (-2.0, 2.0)) for excess in found.excess.values()]
        known = [each.low for each in pooled if each is not None]
        out[name] = min(known) if chosen and known and len(known) == len(pooled) else None
    return out


def _findings(
    study: Study,
    models: Sequence[str],
    targets: Mapping[str, Target],
    rows: Sequence[Mapping[str, Any]],
    scores: Mapping[str, Mapping[str, Any]],
    aligned: bool,
    permutations: int,
    sampling: Sampling,
) -> Iterator[Findings]:
    labels, groups = study.labels[study.rows], study.groups[study.rows]
    recognised = {name: recognition(study.maps[name].logits()[study.rows], labels, groups) for name in models}
    pairs, r, excess = _agreement(study, targets, labels)
    located = {name: _located(study, target) for name, target in targets.items()}
    untested = _untested(study, targets, models, aligned)
    differences = {} if untested else _differences(study, targets, aligned, permutations, sampling.seed)
    for k, class_name in enumerate(study.class_names):
        own = labels == k
        random = _random(rows, class_name)
        yield Findings(
            class_name,
            groups[own],
            {name: found[k] for name, found in recognised.items() if k in found},
            pairs,
            None if r is None else _of(r, own),
            _excess(excess, r, own, [random.get(pair) for pair in pairs]),
            _by_region({name: found for name, found in located.items() if found}, own),
            {name: interventions_of(scores.get(name, {}), class_name) for name in models},
            differences.get(k, {}),
            untested,
            study.class_names,
        )


def interventions_of(result: Mapping[str, Any], class_name: str) -> Interventions:
    """Rows about one class in a model's result; none where `score` wrote none."""
    found = {
        key: [row for row in result.get(key) or () if row["class_name"] == class_name]
        for key in ("necessity", "sufficiency", "look_alikes", "global_cues")
    }
    return Interventions(*found.values())


def load_scores(folder: Path, names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """reports/models/NAME.json of the models that have one: without it nothing is known of what they need."""
    paths = {name: folder / f"{name}.json" for name in names}
    return {name: json.loads(path.read_text(encoding="utf-8")) for name, path in paths.items() if path.is_file()}


def _of(counted: Counted, images: np.ndarray) -> Counted:
    return Counted(counted.values[images], counted.valid[images])


def _agreement(
    study: Study, targets: Mapping[str, Target], labels: np.ndarray
) -> tuple[Pairs, Counted | None, dict[str, Counted]]:
    """Pearson's r of the primary maps of every pair of models, and its excess over each baseline but random weights."""
    maps = {name: study.maps[name] for name in targets}
    chosen = next((each for each in comparisons(maps) if each.primary), None)
    if chosen is None:
        return [], None, {}
    pairs: Pairs = []
    parts = []
    for grid, own in pairs_by_grid(chosen, targets).items():
        figure = figures_of(study, targets, grid, own, primary=False)[0]
        parts.append(figure)
        pairs += own
    everyone = {k: np.broadcast_to((labels == k)[:, None], (len(labels), len(pairs))) for k in np.unique(labels)}
    r = Counted(*(np.concatenate([getattr(p.observed, key) for p in parts], axis=1) for key in ("values", "valid")))
    excess = {}
    for baseline in parts[0].nulls:
        values, valid = np.zeros(r.values.shape), np.zeros(r.valid.shape, dtype=bool)
        for k, members in everyone.items():
            found = [part.excess(baseline, members[:, : part.observed.values.shape[1]]) for part in parts]
            own = labels == k
            values[own] = np.concatenate([each.values for each in found], axis=1)[own]
            valid[own] = np.concatenate([each.valid for each in found], axis=1)[own]
        excess[baseline] = Counted(values, valid)
    return pairs, r, excess


def _excess(
    excess: Mapping[str, Counted], r: Counted | None, own: np.ndarray, random: Sequence[float | None]
) -> dict[str, Counted]:
    """The excesses of one class; a baseline that no image has, such as a centre on 2 x 2 cells, is missing."""
    found = {baseline: _of(each, own) for baseline, each in excess.items()}
    if r is not None and random and None not in random:
        found["random"] = Counted(r.values[own] - np.array(random, dtype=float), r.valid[own])
    return {baseline: each for baseline, each in found.items() if each.valid.any()}


def _random(rows: Sequence[Mapping[str, Any]], class_name: str) -> dict[tuple[str, str], float | None]:
    """The baseline of random weights, by pair of models."""
    return {
        (row["model_a"], row["model_b"]): row["random"]
        for row in rows
        if row["primary"] and row["figure"] == "pearson" and row["subset"] == "all" and row["class_name"] == class_name
    }


def _located(study: Study, target: Target) -> dict[str, OnRegion]:
    """Where a model's maps of the split lie; empty without masks."""
    masks = study.prepared.masks
    if masks is None:
        return {}
    blocks = row_blocks(study.rows, 4 * 4 * int(np.prod(masks.shape[1:])))
    return joined(
        [
            on_regions(target.true_class(block), regions_on_grid(np.asarray(masks[block]), target.grid))
            for block in blocks
        ]
    )


def _by_region(located: Mapping[str, Mapping[str, OnRegion]], own: np.ndarray) -> dict[str, dict[str, OnRegion]]:
    """The images of one class, by region and model."""
    regions = dict.fromkeys(region for found in located.values() for region in found)
    return {region: {name: found[region].of(own) for name, found in located.items()} for region in regions}


def _untested(study: Study, targets: Mapping[str, Target], models: Sequence[str], aligned: bool) -> str:
    """Why classes cannot be compared by place, as a code; empty where they can."""
    if not aligned and study.prepared.masks is None:
        return "no_places"
    if any(name not in targets or not targets[name].every_class for name in models):
        return "no_maps_of_every_class"
    return ""


def _differences(
    study: Study, targets: Mapping[str, Target], aligned: bool, permutations: int, seed: int
) -> dict[int, dict[str, list[PairDifference]]]:
    """Differences of every two classes, by class and other class; the test of two classes is one for both."""
    labels, names = study.labels[study.rows], study.class_names
    grid = reduce(common_grid, (target.grid for target in targets.values())) if aligned else None
    out: dict[int, dict[str, list[PairDifference]]] = {}
    there = [k for k in range(len(names)) if (labels == k).sum() >= 2]
    for k in there:
        for j in (j for j in there if j != k):
            both = np.isin(labels, (k, j))
            rows, own, groups = study.rows[both], labels[both] == k, study.groups[study.rows[both]]
            found = {
                name: by_region(target, rows, k, study.prepared.masks, j)
                if grid is None
                else by_cell(target, rows, k, grid, j)
                for name, target in targets.items()
            }
            out.setdefault(k, {})[names[j]] = pair_differences(
                found, own, groups, rules.LOCATED_ODDS, permutations, seed
            )
    return out
