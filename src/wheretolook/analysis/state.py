"""Statements from a study and its table of agreement."""

from collections.abc import Sequence
from typing import Any

from wheretolook.analysis.localise import stream_figures
from wheretolook.analysis.places import Place, places_of
from wheretolook.analysis.recall import balanced_accuracy_interval
from wheretolook.analysis.statements import Findings, statements
from wheretolook.analysis.study import Study
from wheretolook.analysis.target import open_target


def study_statements(
    study: Study, rows: Sequence[dict[str, Any]], margin: float, resamples: int, seed: int
) -> dict[str, Any]:
    """The content of `statements.json`.

    Args:
        study: models and images.
        rows: of `agreement_table`.
        margin: by which agreement must exceed each null.
        resamples: of each interval.
        seed: of each interval.
    """
    labels, groups = study.labels[study.rows], study.groups[study.rows]
    low = {}
    for name in study.names:
        interval = balanced_accuracy_interval(study.right[name], labels, groups, resamples, seed)
        low[name] = interval[0] if interval else None
    places = {name: _places(study, name, resamples, seed) for name in study.names}
    primary = [row for row in rows if row["primary"] and row["figure"] == "pearson" and row["subset"] == "all"]
    findings = [
        Findings(
            class_name,
            int((labels == k).sum()),
            [row for row in primary if row["class_name"] == class_name],
            {name: own[k] for name, own in places.items() if own},
        )
        for k, class_name in enumerate(study.class_names)
    ]
    return statements(study.names, study.split, low, findings, margin)


def _places(study: Study, name: str, resamples: int, seed: int) -> list[list[Place]]:
    """Regions of each class in the primary maps of one model; empty where there are no masks or no such maps."""
    maps = study.maps[name]
    last = maps.manifest["layers"][-1]
    if study.prepared.masks is None or ("cam", last) not in maps.names:
        return []
    target = open_target(maps, "cam", last, study.labels)
    (_, found), *_ = stream_figures({"cam": target}, study.prepared.masks, study.rows)
    labels, groups = study.labels[study.rows], study.groups[study.rows]
    return [
        places_of({key: values[labels == k] for key, values in found.items()}, groups[labels == k], resamples, seed)
        for k in range(len(study.class_names))
    ]
