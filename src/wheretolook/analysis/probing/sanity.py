"""Sanity of a method: with its weights randomised, a network's maps must stop resembling those of the trained network.

Adebayo et al. 2018, arXiv:1810.03292. A map that stays alike shows the image or the architecture, not what was learned.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from wheretolook.analysis.maps.correlation import average_ranks, standardise
from wheretolook.analysis.statistics.bootstrap import LEVEL
from wheretolook.analysis.statistics.enough import FEWEST_DRAWS

# Likeness beyond that of another image's map: a map passes where it is surely less, and fails where it is surely more.
MARGIN = 0.1
PASS, FAIL, OPEN = "pass", "fail", "open"


def likeness(true: np.ndarray, randomised: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """|Spearman| of each image's map with a random network's map of the same image, and of other images of its class.

    The second is the baseline: what layout, smoothness and the class's usual shape give by themselves, in this method
    and at this layer.

    Args:
        true: (n, h, w), of the trained network.
        randomised: (n, h, w), of the same images.
        labels: (n,) int64. An image that is alone in its class is compared with all others.

    Returns:
        (n,) float64 each, the second a mean over the others; NaN where a map is constant or there is no other image.
    """
    count = len(true)
    (a, a_varies), (b, b_varies) = (standardise(average_ranks(each.reshape(count, -1))) for each in (true, randomised))
    r = np.where(np.outer(a_varies, b_varies), np.abs(a.astype(np.float64) @ b.T), np.nan)
    others = (labels[:, None] == labels) & ~np.eye(count, dtype=bool)
    alone = ~others.any(axis=1)
    others[alone] = ~np.eye(count, dtype=bool)[alone]
    there = others & np.isfinite(r)
    total = np.where(there, r, 0).sum(axis=1)
    baseline = np.divide(total, there.sum(axis=1), out=np.full(count, np.nan), where=there.any(axis=1))
    return np.diagonal(r).copy(), baseline


def alikeness(same: np.ndarray) -> float:
    """Mean of `likeness` over images whose maps are not constant; 0 where all are constant: they resemble nothing."""
    valid = np.isfinite(same)
    return float(same[valid].mean()) if valid.any() else 0.0


def crossed_interval(values: np.ndarray) -> tuple[float, float | None, float | None]:
    """Mean of a table of draws and images, both of them samples, with its interval (two-way random effects).

    The variance of the mean is that of the draws' means plus that of the images' means, less the residual's part, which
    counts twice; Student's t has the degrees of freedom of the smaller side, which is conservative.

    Args:
        values: (D, n) float64.

    Returns:
        The mean and both ends, None where either side has one member only.
    """
    from scipy.stats import t

    mean, (draws, images) = float(values.mean()), values.shape
    if min(draws, images) < 2:
        return mean, None, None
    of_draws, of_images = values.mean(axis=1), values.mean(axis=0)
    residual = values - of_draws[:, None] - of_images + mean
    noise = (residual**2).sum() / ((draws - 1) * (images - 1)) / (draws * images)
    parts = of_draws.var(ddof=1) / draws, of_images.var(ddof=1) / images
    half = t.ppf((1 + LEVEL) / 2, min(draws, images) - 1) * np.sqrt(max(sum(parts) - noise, *parts))
    return mean, float(mean - half), float(mean + half)


def sanity_result(found: Mapping[str, list[float]], same: np.ndarray, baseline: np.ndarray) -> dict[str, Any]:
    """How alike the maps of one method and layer stay while weights are randomised from the top layer down.

    Args:
        found: what was randomised last, top first, to the mean likeness of each draw; the last: all random.
        same: (D, n) of `likeness`, each image with wholly random networks.
        baseline: (D, n), the same with other images.

    Returns:
        As `docs/results.md` lays out.
    """
    images = np.isfinite(same).all(axis=0) & np.isfinite(baseline).all(axis=0)
    excess: tuple[float | None, ...] = (None, None, None)
    if images.any():
        excess = crossed_interval((same - baseline)[:, images])
    return {
        "images": int(images.sum()),
        "draws": len(same),
        "steps": [
            {"randomised": name, "spearman": float(np.mean(r)), "least": min(r), "most": max(r)}
            for name, r in found.items()
        ],
        "baseline": float(baseline[:, images].mean()) if images.any() else None,
        **dict(zip(("excess", "excess_low", "excess_high"), excess, strict=True)),
        "margin": MARGIN,
        "verdict": verdict(*excess[1:], len(same)),
    }


def verdict(low: float | None, high: float | None, draws: int) -> str:
    """PASS where the whole interval of the excess is below MARGIN, FAIL where above, else OPEN, as with few draws."""
    if low is None or high is None or draws < FEWEST_DRAWS:
        return OPEN
    return PASS if high < MARGIN else FAIL if low > MARGIN else OPEN
