"""Rows of what a change of images costs a class: predictions that flip and log-odds lost, with intervals."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from torch import nn

from wheretolook.analysis.probing.faithfulness import choose_images, log_odds
from wheretolook.analysis.probing.model_faithfulness import BATCH, folded, logits_of_batches, run
from wheretolook.analysis.results.schema import FEWEST_GROUPS, FEWEST_IMAGES
from wheretolook.analysis.statistics.bootstrap import group_codes, mean_intervals
from wheretolook.analysis.statistics.classification import LEVEL
from wheretolook.base.prepared import TEST, Prepared
from wheretolook.networks.card import Card
from wheretolook.networks.checkpoint import Network
from wheretolook.networks.runtime.resumable import Piece

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
    from scipy.special import stdtrit

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
    z2 = float(stdtrit(count - 1, (1 + LEVEL) / 2)) ** 2
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
    if a_low is None or a_high is None or b_low is None or b_high is None:
        return a - b, None, None
    low = a - b - np.hypot(a - a_low, b_high - b)
    return a - b, float(low), float(a - b + np.hypot(a_high - a, b - b_low))


Change = Callable[[], np.ndarray]  # makes one changed image, (S, S, 3) of values 0 to 255


@dataclass(frozen=True)
class Probed:
    """Test images that are changed, and what the network makes of them as they are.

    Attributes:
        rows: (n,) int64, of the prepared data.
        pictures: (n, S, S, 3) uint8.
        masks: (n, S, S) uint8, or None.
        labels, groups: (n,) int64.
        class_names: K names, in the order of the data.
        whole: (n, K) float64 logits, in the order of the data's classes.
        network: that gives logits of network inputs.
        card: of the model.
    """

    rows: np.ndarray
    pictures: np.ndarray
    masks: np.ndarray | None
    labels: np.ndarray
    groups: np.ndarray
    class_names: tuple[str, ...]
    whole: np.ndarray
    network: nn.Module
    card: Card

    @property
    def columns(self) -> list[int]:
        """The card's column of each class of the data."""
        return [self.card.class_names.index(name) for name in self.class_names]


def probed_images(network: Network, card: Card, prepared: Prepared, images: int, seed: int) -> Probed | None:
    """The test images that are changed, those of `model_faithfulness`; None where there are none.

    Args:
        network: in evaluation mode.
        card: of the model; its classes are those of the data, in any order.
        prepared: the data.
        images: at most as many, equally many of each class.
        seed: of the choice.
    """
    rows = choose_images(prepared.labels, prepared.rows(TEST), images, len(prepared.class_names), seed)
    if not len(rows):
        return None
    pictures, groups = np.asarray(prepared.images[rows]), group_codes(prepared.index["group"].to_numpy(dtype=str))
    masks = None if prepared.masks is None else np.asarray(prepared.masks[rows])
    fast = folded(network, card, pictures[:2])
    columns = [card.class_names.index(name) for name in prepared.class_names]
    whole = run(fast, card, pictures)[:, columns]
    names = prepared.class_names
    return Probed(rows, pictures, masks, prepared.labels[rows], groups[rows], names, whole, fast, card)


def _made(batch: list[Change]) -> np.ndarray:
    return np.stack([each() for each in batch], dtype=np.float32, casting="same_kind")


@dataclass
class Changes:
    """Changes of images to run, by key, and then what they cost.

    Attributes:
        wanted: (key, image, change) of each changed image, in the order in which they run; an image may have several
            of a key, its draws.
        found: key to (image numbers (m,), logits (m, K)) once they have run.
    """

    wanted: list[tuple[tuple, int, Change]] = field(default_factory=list)
    found: dict[tuple, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)

    def add(self, key: tuple, image: int, change: Change) -> None:
        """Have one more changed image run."""
        self.wanted.append((key, image, change))

    def run(self, probed: Probed, name: str, piece: Piece) -> "Changes":
        """Run all of them, batch by batch.

        Args:
            probed: the images.
            name: of the pieces and the progress bar.
            piece: keeps what is done.
        """
        flat = [change for *_, change in self.wanted]
        batches = [flat[start : start + BATCH] for start in range(0, len(flat), BATCH)]
        makers = [partial(_made, batch) for batch in batches]
        rows = logits_of_batches(probed.network, probed.card, makers, name, piece)
        logits = np.array(rows).reshape(len(rows), -1)[:, probed.columns if rows else []]
        of_key: dict[tuple, list[int]] = {}
        for number, (key, *_) in enumerate(self.wanted):
            of_key.setdefault(key, []).append(number)
        images = np.array([image for _, image, _ in self.wanted], dtype=np.int64)
        self.found = {key: (images[numbers], logits[numbers]) for key, numbers in of_key.items()}
        return self

    def cost(
        self, probed: Probed, key: tuple, labels: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """What the changes of a key cost each image, averaged over its draws.

        Args:
            probed: the images.
            key: of the changes.
            labels: (n,) int64, the class whose log-odds count; None: the true one.

        Returns:
            (n,) bool, which images have such changes; (n,) share of draws whose prediction flips; (n,) log-odds lost;
            0 where there is none.
        """
        count = len(probed.labels)
        if key not in self.found:
            return np.zeros(count, bool), np.zeros(count), np.zeros(count)
        images, logits = self.found[key]
        classes = probed.labels if labels is None else labels
        flips, lost = losses(probed.whole[images], logits, classes[images])
        draws = np.bincount(images, minlength=count)
        share, cost = (
            np.bincount(images, weights=each, minlength=count) / np.maximum(draws, 1) for each in (flips, lost)
        )
        return draws > 0, share, cost
