"""The null of random weights: how alike a model's maps are to those of networks that have learned nothing."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from wheretolook.analysis.correlation import correlate
from wheretolook.analysis.study import Study
from wheretolook.analysis.subsets import class_members
from wheretolook.analysis.target import open_target

FIGURES = {"pearson": False, "spearman": True}  # whether cells are ranked


def largest_means(study: Study, name: str) -> dict[tuple[str, str], float] | None:
    """For each figure and class the largest |mean r| of a model's primary maps with a random network's, over the draws.

    Args:
        study: models and images.
        name: of the model.

    Returns:
        (figure, class name or `*`) to the largest |mean r|; None where there are no such maps of images of the split.
    """
    maps = study.maps[name]
    last, found = maps.manifest["layers"][-1], maps.random()
    if found is None or ("cam", last) not in maps.names:
        return None
    draws, rows = found
    there = np.isin(rows, study.rows)
    if not there.any() or maps.manifest["arrays"]["random.npy"]["layer"] != last:
        return None
    rows = rows[there]
    own = open_target(maps, "cam", last, study.labels).true_class(rows).reshape(len(rows), -1)
    out: dict[tuple[str, str], float] = {}
    for draw in draws:
        other = np.asarray(draw)[there].reshape(len(rows), -1)
        for figure, ranked in FIGURES.items():
            r, valid = correlate(own, other, ranked)
            for class_name, members in class_members(study.labels[rows], study.class_names):
                counted = r[members & valid]
                if len(counted):
                    key = (figure, class_name)
                    out[key] = max(out.get(key, 0.0), abs(float(counted.mean())))
    return out


def add_random_null(study: Study, rows: Sequence[dict[str, Any]]) -> None:
    """Fill in the null `random` of the primary rows over all images: the larger of the two models' largest |mean r|.

    It is one figure for a class, so that the excess and its interval are those of the mean, less it.
    """
    nulls = {name: found for name in study.names if (found := largest_means(study, name)) is not None}
    for row in rows:
        key = (row["figure"], row["class_name"])
        own = [nulls.get(row[model], {}).get(key) for model in ("model_a", "model_b")]
        if not row["primary"] or row["subset"] != "all" or row["mean"] is None or None in own:
            continue
        row["random"] = max(own)
        row["excess_random"] = row["mean"] - row["random"]
        for end in ("low", "high"):
            row[f"excess_random_{end}"] = None if row[end] is None else row[end] - row["random"]
