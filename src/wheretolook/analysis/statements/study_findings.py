"""Findings of every class, from the maps, logits and masks of a study and from the figures of `score`."""

from collections.abc import Iterator, Mapping, Sequence
from functools import reduce
from typing import Any

import numpy as np

from wheretolook.analysis.agreement.agreement_table import figures_of
from wheretolook.analysis.agreement.correlated import Counted
from wheretolook.analysis.agreement.study import Study, comparisons, pairs_by_grid
from wheretolook.analysis.classes.class_differences import PairDifference, pair_differences
from wheretolook.analysis.classes.contributions import by_cell, by_region
from wheretolook.analysis.explained import Target
from wheretolook.analysis.grid import common_grid, regions_on_grid, row_blocks
from wheretolook.analysis.localisation.common_place import OnRegion, joined, on_regions
from wheretolook.analysis.results import schema as thresholds
from wheretolook.analysis.statements.pooled import Findings, Interventions, Sampling, recognition

Pairs = list[tuple[str, str]]


def findings_of(
    study: Study,
    models: Sequence[str],
    targets: Mapping[str, Target],
    rows: Sequence[Mapping[str, Any]],
    scores: Mapping[str, Mapping[str, Any]],
    aligned: bool,
    permutations: int,
    sampling: Sampling,
) -> Iterator[Findings]:
    """What is found about each class that the study has, in class order.

    Args:
        study: models and images.
        models: names, each training once.
        targets: primary maps, by name of the model.
        rows: of `agreement_table`.
        scores: reports/models/NAME.json by model, as far as it is there.
        aligned: whether all images show things at the same place.
        permutations: of each class test.
        sampling: of each interval.
    """
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
        for key in ("necessity", "sufficiency", "look_alikes", "global_cues", "occlusion")
    }
    return Interventions(*found.values())


def _of(counted: Counted, images: np.ndarray) -> Counted:
    return Counted(counted.values[images], counted.valid[images])


def _agreement(
    study: Study, targets: Mapping[str, Target], labels: np.ndarray
) -> tuple[Pairs, Counted | None, dict[str, Counted]]:
    """Pearson's r of the primary maps of every pair of models, and its excess over each baseline but random weights."""
    maps = {name: study.maps[name] for name in targets}
    chosen = next((each for each in comparisons(maps, study.primary) if each.primary), None)
    if chosen is None:
        return [], None, {}
    pairs: Pairs = []
    parts = []
    for grid, own in pairs_by_grid(chosen, targets).items():
        figure = next(figures_of(study, targets, grid, own, primary=False))
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
    if not study.additive:
        return "not_additive"
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
                found, own, groups, thresholds.LOCATED_ODDS, permutations, seed
            )
    return out
