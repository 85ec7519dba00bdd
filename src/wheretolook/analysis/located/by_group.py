"""A figure by group (a patient): its mean with groups as the unit, how far groups are apart, and the worst of them."""

from typing import Any

import numpy as np

from wheretolook.analysis.located.localise import Sample
from wheretolook.analysis.statistics.bootstrap import mean_intervals

WORST = 5  # groups named; the others are in the spread


def by_group(
    right: np.ndarray, found: dict[str, np.ndarray] | None, sample: Sample, names: np.ndarray, resamples: int, seed: int
) -> dict[str, dict[str, Any]]:
    """By split: accuracy by group, and the energy of the foremost maps inside the evidence, or on the foreground.

    Args:
        right: (N,) bool, whether each image was classified right.
        found: what is known of each image's foremost map, (N,) each: of `image_figures` or of `stream_foreground`.
        sample: the images.
        names: (N,) str, the groups' names.
        resamples: for the intervals.
        seed: for the intervals.
    """
    regions = [key for key in ("evidence", "foreground") if found is not None and key in found and found[key].any()]
    out: dict[str, dict[str, Any]] = {}
    for split, rows in sample.splits.items():
        out[split] = group_figures("accuracy", right[rows], sample.groups[rows], names[rows], resamples, seed)
        out[split]["energy"] = None
        if not regions or found is None:
            continue
        region = regions[0]
        counts = rows[found[region][rows] & found["positive"][rows]]
        if len(counts):
            values = found[f"{region}.energy"][counts]
            figures = group_figures("energy", values, sample.groups[counts], names[counts], resamples, seed)
            out[split]["energy"] = {"region": region, **figures}
    return out


def group_figures(
    figure: str, values: np.ndarray, groups: np.ndarray, names: np.ndarray, resamples: int, seed: int
) -> dict[str, Any]:
    """Sum up a share by group.

    Args:
        figure: its name.
        values: (n,) float64 from 0 to 1, n >= 1.
        groups: (n,) integers.
        names: (n,) str, the groups' names.
        resamples: for the interval.
        seed: for the interval.

    Returns:
        As `docs/results.md` lays out: one entry a group would be a table of hundreds.
    """
    means = mean_intervals(values[:, None].astype(float), np.ones((1, 1), bool), groups, resamples, seed, (0.0, 1.0))
    bounded = bool(means.bounded[0])
    codes, first, member = np.unique(groups, return_index=True, return_inverse=True)
    images = np.bincount(member)
    by_group = np.bincount(member, weights=values) / images
    order = sorted(range(len(codes)), key=lambda g: (by_group[g], -images[g], str(names[first[g]])))
    return {
        "groups": len(codes),
        figure: float(means.mean[0]),
        f"{figure}_low": float(means.low[0]) if bounded else None,
        f"{figure}_high": float(means.high[0]) if bounded else None,
        "lowest": float(by_group.min()),
        "highest": float(by_group.max()),
        "spread": float(by_group.std(ddof=1)) if len(codes) > 1 else None,
        "worst": [
            {"group": str(names[first[g]]), "images": int(images[g]), figure: float(by_group[g])} for g in order[:WORST]
        ],
    }
