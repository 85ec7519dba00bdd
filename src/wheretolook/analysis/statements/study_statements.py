"""Statements from a study, its table of agreement, and its test of classes."""

from collections.abc import Sequence
from typing import Any

from wheretolook.analysis.agreement.study import Study
from wheretolook.analysis.classes.class_differences import Tested
from wheretolook.analysis.classes.differing import Differing, differing_places
from wheretolook.analysis.located.localise import stream_figures
from wheretolook.analysis.located.places import Place, places_of
from wheretolook.analysis.maps.target import open_primary
from wheretolook.analysis.statements.claims import Findings
from wheretolook.analysis.statements.recipes import recipes_of, same_models
from wheretolook.analysis.statements.statements import Witnesses, statements
from wheretolook.analysis.statistics.balanced_accuracy import balanced_accuracy_interval, scarce_classes
from wheretolook.analysis.statistics.groups import has_groups


def study_statements(
    study: Study, rows: Sequence[dict[str, Any]], tested: Tested, margin: float, resamples: int, seed: int
) -> dict[str, Any]:
    """The content of `statements.json`.

    Args:
        study: models and images.
        rows: of `agreement_table`.
        tested: the models' tests of classes.
        margin: by which agreement must exceed each null.
        resamples: of each interval.
        seed: of each interval.
    """
    labels = study.labels[study.rows]
    witnesses = _witnesses(study, resamples, seed)
    asked = [tuple(witnesses.models), *witnesses.enough]
    places = {name: _places(study, name, resamples, seed) for name in witnesses.models}
    primary = [row for row in rows if row["primary"] and row["figure"] == "pearson" and row["subset"] == "all"]
    findings = []
    for k, class_name in enumerate(study.class_names):
        found = Findings(
            class_name,
            int((labels == k).sum()),
            [row for row in primary if row["class_name"] == class_name],
            {name: own[k] for name, own in places.items() if own},
            int((labels != k).sum()),
            {models: _differing(study, tested, models, k, resamples, seed) for models in asked},
            tested.reason if tested.reason else ("" if k in tested.classes else None),
        )
        findings.append(found.of(witnesses.models))
    return statements(witnesses, study.split, findings, margin)


def _witnesses(study: Study, resamples: int, seed: int) -> Witnesses:
    labels, groups = study.labels[study.rows], study.groups[study.rows]
    about = {name: maps.manifest["model"] for name, maps in study.maps.items()}
    same = same_models(about)
    low = {}
    for name in (name for name in study.names if name not in same):
        interval = balanced_accuracy_interval(study.right[name], labels, groups)
        low[name] = interval[0] if interval else None
    recipes = recipes_of({name: about[name] for name in low}, study.drive)
    scarce = {study.class_names[k]: count for k, count in scarce_classes(labels, groups).items()}
    grouped = has_groups(study.prepared.index["group"].to_numpy(dtype=str))
    return Witnesses(list(low), low, recipes, same, scarce, grouped)


def _differing(
    study: Study, tested: Tested, models: tuple[str, ...], class_index: int, resamples: int, seed: int
) -> list[Differing]:
    """Places where a class differs from the rest in all of these models; none where some of them were not tested."""
    tests = {name: tested.models[name] for name in models if name in tested.models}
    if len(tests) < len(models) or len(models) < 2 or class_index not in tested.classes:
        return []
    if any(each.test.p is None for each in tests.values()):
        return []
    row, labels = tested.classes.index(class_index), study.labels[study.rows]
    groups = study.groups[study.rows]
    return differing_places(tests, row, tested.scale, labels == class_index, groups, resamples, seed)


def _places(study: Study, name: str, resamples: int, seed: int) -> list[list[Place]]:
    """Regions of each class in the primary maps of one model; empty where there are no masks or no such maps."""
    target = open_primary(study.maps[name], study.labels)
    if study.prepared.masks is None or target is None:
        return []
    (_, found), *_ = stream_figures({"cam": target}, study.prepared.masks, study.rows)
    labels, groups = study.labels[study.rows], study.groups[study.rows]
    return [
        places_of({key: values[labels == k] for key, values in found.items()}, groups[labels == k], resamples, seed)
        for k in range(len(study.class_names))
    ]
