"""Rows of the table of agreement: each figure with its interval, its nulls, and its excess over each null."""

from typing import Any

import numpy as np

from wheretolook.analysis.agreement.paired import PairedFigure
from wheretolook.analysis.statistics.bootstrap import Means, mean_intervals
from wheretolook.analysis.statistics.enough import FEWEST_IMAGES

# What agreement is held against, by the name in the tables, in words.
NULLS = {
    "other": "maps of other images of the class",
    "centre": "a blob at the centre",
    "mean_map": "each model's own mean map",
    "random": "networks of random weights",
}
FIGURE_COLUMNS = (
    *("figure", "images", "groups", "left_out", "mean", "sd", "low", "high"),
    *NULLS,
    *(f"excess_{null}{end}" for null in NULLS for end in ("", "_low", "_high")),
    *("group_lowest", "group_highest", "group_sd"),
)
Row = dict[str, Any]


def agreement_rows(
    figure: PairedFigure, members: np.ndarray, groups: np.ndarray, resamples: int, seed: int
) -> list[Row]:
    """One row for each pair of models, over some of the images.

    Args:
        figure: of n images and P pairs.
        members: (n, P) bool, the images that belong to the row of each pair.
        groups: (n,) group of each image.
        resamples: of each interval.
        seed: of each interval.

    Returns:
        P rows with FIGURE_COLUMNS; what does not exist is None. With fewer than 20 images, counts only.
    """
    nulls = [null for null in NULLS if null in figure.nulls]
    names = ("", *nulls, *(f"excess_{null}" for null in nulls))
    counted = figure.observed.valid & members
    pairs = members.shape[1]
    rows = [_counts(figure.name, counted[:, p], members[:, p], groups) for p in range(pairs)]
    if max(row["images"] for row in rows) < FEWEST_IMAGES:
        return rows
    means = _intervals(figure, nulls, members, groups, resamples, seed)
    for p, row in enumerate(rows):
        columns = dict(zip(names, range(p, len(names) * pairs, pairs), strict=True))
        if row["images"] >= FEWEST_IMAGES:
            own = counted[:, p]
            row |= _figures(means, columns) | group_spread(figure.observed.values[own, p], groups[own])
    return rows


def group_spread(values: np.ndarray, groups: np.ndarray) -> dict[str, float]:
    """Lowest, highest and standard deviation of the groups' means (n - 1); nothing where each image is a group.

    Args:
        values: (n,) figures of images.
        groups: (n,) group of each.
    """
    codes = np.unique(groups, return_inverse=True)[1]
    sizes = np.bincount(codes)
    if len(sizes) == len(values) or len(sizes) < 2:
        return {}
    means = np.bincount(codes, weights=values) / sizes
    lowest, highest, sd = float(means.min()), float(means.max()), float(means.std(ddof=1))
    return {"group_lowest": lowest, "group_highest": highest, "group_sd": sd}


def _counts(name: str, counted: np.ndarray, members: np.ndarray, groups: np.ndarray) -> Row:
    """A row without figures: images (n,) bool that count, and that belong to it."""
    images = int(counted.sum())
    found = {"figure": name, "images": images, "groups": len(np.unique(groups[counted]))}
    return dict.fromkeys(FIGURE_COLUMNS) | found | {"left_out": int(members.sum()) - images}


def _intervals(
    figure: PairedFigure, nulls: list[str], members: np.ndarray, groups: np.ndarray, resamples: int, seed: int
) -> Means:
    """Means of the figure, its nulls, and its excess over each null: columns one after the other, pair by pair."""
    there = members.any(axis=1)
    parts = [
        figure.observed,
        *(figure.nulls[null] for null in nulls),
        *(figure.excess(null, members) for null in nulls),
    ]
    low, high = figure.bounds
    bounds = [(low, high)] * (1 + len(nulls)) + [(low - high, high - low)] * len(nulls)
    values = np.concatenate([part.values[there] for part in parts], axis=1)
    valid = np.concatenate([(part.valid & members)[there] for part in parts], axis=1)
    ends = np.repeat(np.array(bounds), members.shape[1], axis=0)
    return mean_intervals(values, valid, groups[there], resamples, seed, ends)


def _figures(means: Means, columns: dict[str, int]) -> Row:
    """Mean, nulls and excesses of one row, from the columns of `means` that belong to it."""
    own = columns.pop("")
    row = {"mean": float(means.mean[own]), "sd": float(means.sd[own])} | _ends(means, own, ("low", "high"))
    for key, column in columns.items():
        if means.images[column] >= FEWEST_IMAGES:
            row[key] = float(means.mean[column])
            if key.startswith("excess_"):
                row |= _ends(means, column, (f"{key}_low", f"{key}_high"))
    return row


def _ends(means: Means, column: int, names: tuple[str, str]) -> Row:
    """The ends of one interval, where there were groups enough for one."""
    if not means.bounded[column]:
        return {}
    return dict(zip(names, (float(means.low[column]), float(means.high[column])), strict=True))
