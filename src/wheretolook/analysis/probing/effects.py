"""Rows of what a change of images costs a class: predictions that flip and log-odds lost, with intervals."""

from typing import Any

import numpy as np

from wheretolook.analysis.probing.faithfulness import log_odds
from wheretolook.analysis.statistics.bootstrap import LEVEL, mean_intervals
from wheretolook.analysis.statistics.enough import FEWEST_GROUPS, FEWEST_IMAGES

Interval = tuple[float, float | None, float | None]  # a mean with the ends of its interval, or None where too few


def mean_with_interval(
    values: np.ndarray,
    groups: np.ndarray,
    resamples: int,
    seed: int,
    bounds: tuple[float, float] = (-np.inf, np.inf),
) -> Interval:
    """Mean of (n,) values with its bootstrap interval over groups; no ends below FEWEST_IMAGES or FEWEST_GROUPS.

    `bounds` are what a value can be at all: figures that are nearly all equal have an interval only with them.
    """
    means = mean_intervals(values[:, None], np.ones((1, 1), bool), groups, resamples, seed, bounds)
    if len(values) < FEWEST_IMAGES or not means.bounded[0]:
        return float(means.mean[0]), None, None
    return float(means.mean[0]), float(means.low[0]), float(means.high[0])


def share_with_interval(hits: np.ndarray, groups: np.ndarray) -> Interval:
    """Share of images with Wilson's interval at the effective number of images.

    The number of images is divided by the design effect of the groups (Kish 1965): the variance of the share over
    groups to that of independent images, at least 1. Unlike a bootstrap it has a width where all images agree.

    Args:
        hits: (n,) bool.
        groups: (n,) integers, the group of each image.
    """
    from scipy.stats import t

    share = float(hits.mean())
    codes, sizes = np.unique(groups, return_inverse=True, return_counts=True)[1:]
    count = len(sizes)
    if len(hits) < FEWEST_IMAGES or count < FEWEST_GROUPS:
        return share, None, None
    effective = float(sizes.sum() ** 2 / (sizes**2).sum())
    if 0 < share < 1:
        residuals = np.bincount(codes, weights=hits - share)
        variance = (residuals**2).sum() * count / (count - 1) / len(hits) ** 2
        effective = min(len(hits), share * (1 - share) / max(variance, 1e-12))
    z2 = float(t.ppf((1 + LEVEL) / 2, count - 1)) ** 2
    middle = (share + z2 / (2 * effective)) / (1 + z2 / effective)
    half = np.sqrt(z2 * (share * (1 - share) / effective + z2 / (4 * effective**2))) / (1 + z2 / effective)
    return share, float(max(0, middle - half)), float(min(1, middle + half))


def named(key: str, interval: Interval) -> dict[str, float | None]:
    """The three figures of an interval under KEY, KEY_low and KEY_high."""
    return dict(zip((key, f"{key}_low", f"{key}_high"), interval, strict=True))


def missing(*keys: str) -> dict[str, None]:
    """Null for figures, with the ends of their intervals, that could not be measured."""
    return {f"{key}{end}": None for key in keys for end in ("", "_low", "_high")}


def losses(whole: np.ndarray, after: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What a change costs each image.

    Args:
        whole: (n, K) logits of the images as they are.
        after: (n, K), or (n, D, K) of D draws, of the changed ones.
        labels: (n,) int64.

    Returns:
        (n,) share of draws whose prediction changes, and (n,) mean log-odds of the true class that are lost.
    """
    draws = after[:, None] if after.ndim == 2 else after
    flips = (draws.argmax(axis=2) != whole.argmax(axis=1)[:, None]).mean(axis=1)
    flat = log_odds(draws.reshape(-1, draws.shape[2]), np.repeat(labels, draws.shape[1]))
    return flips, log_odds(whole, labels) - flat.reshape(draws.shape[:2]).mean(axis=1)


def cost_of(
    cost: tuple[np.ndarray, np.ndarray],
    control: tuple[np.ndarray, np.ndarray],
    controlled: np.ndarray,
    groups: np.ndarray,
    resamples: int,
    seed: int,
    kept: bool = False,
) -> dict[str, Any]:
    """Figures of one class and change, beside those of a control, paired by image.

    Args:
        cost: of `losses`, (n,) each.
        control: of `losses`, (n,) each; of images without a control they count nowhere.
        controlled: (n,) bool, which images have a control.
        groups: (n,).
        resamples: of each interval.
        seed: of each interval.
        kept: the change keeps what is tested and the control keeps something else: `excess` is control less cost.
    """
    flips, lost = cost
    # A flip can be a share of draws: such figures have no binomial variance.
    whole = np.isin(flips, (0, 1)).all()
    if whole:
        share = share_with_interval(flips > 0.5, groups)
    else:
        share = mean_with_interval(flips, groups, resamples, seed, (0.0, 1.0))
    out: dict[str, Any] = {
        "images": len(flips),
        "groups": len(np.unique(groups)),
        **named("flips", share),
        **named("log_odds", mean_with_interval(lost, groups, resamples, seed)),
        "control_images": int(controlled.sum()),
    }
    if not controlled.any():
        return out | {"control_flips": None, "control_log_odds": None} | missing("excess", "excess_flips")
    sign = -1 if kept else 1
    own = groups[controlled]
    gaps = [sign * (each - other)[controlled] for each, other in ((lost, control[1]), (flips, control[0]))]
    excess = mean_with_interval(gaps[0], own, resamples, seed)
    excess_flips = mean_with_interval(gaps[1], own, resamples, seed, (-1.0, 1.0))
    return out | {
        "control_flips": float(control[0][controlled].mean()),
        "control_log_odds": float(control[1][controlled].mean()),
        **named("excess", excess),
        **named("excess_flips", excess_flips),
    }


def difference_of(first: Interval, second: Interval) -> Interval:
    """Difference of two independent means, its interval from theirs (MOVER, Zou and Donner 2008)."""
    (a, a_low, a_high), (b, b_low, b_high) = first, second
    if None in (a_low, a_high, b_low, b_high):
        return a - b, None, None
    low = a - b - np.hypot(a - a_low, b_high - b)
    return a - b, float(low), float(a - b + np.hypot(a_high - a, b - b_low))
