"""Findings of one class that statements are made from: recognition, maps and interventions, pooled into estimates."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from wheretolook.analysis.agreement.correlated import Counted
from wheretolook.analysis.classes.class_differences import PairDifference
from wheretolook.analysis.localisation.common_place import OnRegion
from wheretolook.analysis.statements.rules import Estimate
from wheretolook.analysis.statistics.bootstrap import mean_intervals
from wheretolook.analysis.statistics.classification import effective_groups, recall_interval, wilson_interval

NEAREST = 10  # other classes that are compared where there are very many: those that the logits separate least
EVERY = 50  # classes up to which all others are compared

Interval = tuple[float, float, float]  # estimate, and both ends


@dataclass(frozen=True)
class Recognition:
    """One class in one model's logits.

    Attributes:
        recall: share of the class's images that are classified right, and its 95 % interval.
        chance: 1 / K.
        discrimination: by class index, area under the ROC curve of the difference of the two classes' logits, over
            images of both; with its 95 % interval.
    """

    recall: Interval
    chance: float
    discrimination: Mapping[int, Interval]

    def fails(self) -> int | None:
        """The other class that it is confused with, -1 for a recall that is not above chance; None where it is fine."""
        if self.recall[1] <= self.chance:
            return -1
        if not self.discrimination:
            return None
        worst = min(self.discrimination, key=lambda other: self.discrimination[other][1])
        return worst if self.discrimination[worst][1] <= 0.5 else None


def recognition(logits: np.ndarray, labels: np.ndarray, groups: np.ndarray) -> dict[int, Recognition]:
    """Recognition of each class that has images.

    The variance of an area under the curve A is at most A (1 - A) / min(m, n) (van Dantzig 1951), so that Wilson's
    interval with the smaller effective number of groups is a safe one.

    Args:
        logits: (n, K) float32.
        labels: (n,) int64.
        groups: (n,) integers.
    """
    effective, right = effective_groups(labels, groups), logits.argmax(axis=1) == labels
    out = {}
    for k in effective:
        own = labels == k
        others = _others(logits, labels, k, list(effective))
        found = {}
        for j in others:
            area = auc(logits[own, k] - logits[own, j], logits[labels == j, k] - logits[labels == j, j])
            found[j] = (area, *wilson_interval(area, min(effective[k], effective[j])))
        out[k] = Recognition(recall_interval(right[own], groups[own]), 1 / logits.shape[1], found)
    return out


def auc(own: np.ndarray, rest: np.ndarray) -> float:
    """Share of pairs in which the own value is higher; ties count half (Mann and Whitney 1947)."""
    from scipy.stats import rankdata  # here, since scipy.stats takes a second to import

    ranks = rankdata(np.concatenate([own, rest]))[: len(own)]
    return float((ranks.sum() - len(own) * (len(own) + 1) / 2) / (len(own) * len(rest)))


def _others(logits: np.ndarray, labels: np.ndarray, k: int, classes: list[int]) -> list[int]:
    """Classes to compare with k."""
    others = [j for j in classes if j != k]
    if len(classes) <= EVERY:
        return others
    means = np.stack([logits[labels == j].mean(axis=0) for j in others])
    own = logits[labels == k].mean(axis=0)
    separation = (own[k] - own[others]) - (means[:, k] - means[np.arange(len(others)), others])
    return [others[i] for i in np.argsort(separation, kind="stable")[:NEAREST]]


Row = Mapping[str, Any]
Pair = tuple[str, str]


@dataclass(frozen=True)
class Interventions:
    """What the images' changes did to one model's predictions: rows of reports/models/NAME.json, of one class.

    Attributes:
        necessity: a region infilled; a row for each region and infill.
        sufficiency: all but a region infilled.
        look_alikes: the region against its best look-alike place in images of another class.
        cues: properties of the whole image changed.
        occlusion: correlation of occlusion maps with the primary maps, at most one row.
    """

    necessity: Sequence[Row] = ()
    sufficiency: Sequence[Row] = ()
    look_alikes: Sequence[Row] = ()
    cues: Sequence[Row] = ()
    occlusion: Sequence[Row] = ()


@dataclass(frozen=True)
class Findings:
    """One class.

    Attributes:
        class_name: its name.
        groups: (n,) integers, group of each image of the class.
        recognised: by model.
        pairs: pairs of models with primary maps, P of them.
        r: correlation of the maps of each image, (n, P).
        excess: r less each baseline; a baseline that was not measured is missing.
        located: by region and model.
        interventions: by model.
        differences: by other class.
        untested: why no places were tested; empty where they were.
        class_names: all classes, by index.
    """

    class_name: str
    groups: np.ndarray
    recognised: Mapping[str, Recognition]
    pairs: Sequence[Pair] = ()
    r: Counted | None = None
    excess: Mapping[str, Counted] = field(default_factory=dict)
    located: Mapping[str, Mapping[str, OnRegion]] = field(default_factory=dict)
    interventions: Mapping[str, Interventions] = field(default_factory=dict)
    differences: Mapping[str, Sequence[PairDifference]] = field(default_factory=dict)
    untested: str = ""
    class_names: Sequence[str] = ()

    @property
    def images(self) -> int:
        """Images of the class."""
        return len(self.groups)


@dataclass(frozen=True)
class Sampling:
    """Resamples of each interval, and their seed."""

    resamples: int
    seed: int


def pooled_pairs(
    counted: Counted, groups: np.ndarray, chosen: Sequence[int], sampling: Sampling, bounds: tuple[float, float]
) -> Estimate | None:
    """Mean over images and some pairs of models; None where there are too few images for an interval.

    The pairs are fixed, those of these models; the images are the sample. So the error falls with images, and what
    varies from image to image and pair to pair falls with pairs as well.
    """
    valid = counted.valid[:, chosen]
    sums = np.where(valid, counted.values[:, chosen], 0).sum(axis=1)
    return pooled_sums(sums, valid.sum(axis=1), groups, sampling, bounds)


def pooled_sums(
    sums: np.ndarray, counts: np.ndarray, groups: np.ndarray, sampling: Sampling, bounds: tuple[float, float]
) -> Estimate | None:
    """The same of each image's sum over pairs of models, (n,), and the number of pairs that count, (n,)."""
    there = counts > 0
    if not there.any():
        return None
    return mean_estimate(sums[there] / counts[there], groups[there], sampling, bounds)


def mean_estimate(
    values: np.ndarray, groups: np.ndarray, sampling: Sampling, bounds: tuple[float, float] = (-np.inf, np.inf)
) -> Estimate | None:
    """Mean of (n,) figures with its interval, drawn by group; None where the effective number of groups is below 10."""
    one = np.ones((1, 1), dtype=bool)
    means = mean_intervals(values[:, None], one, groups, sampling.resamples, sampling.seed, bounds)
    return Estimate(float(means.mean[0]), float(means.low[0]), float(means.high[0])) if means.bounded[0] else None


@dataclass(frozen=True)
class Components:
    """Standard deviations of a figure by where it comes from (two-way analysis of variance, method of moments).

    Attributes:
        image: between images, the same in all pairs of models.
        pair: between pairs of models, the same in all images.
        rest: of an image in a pair.
    """

    image: float
    pair: float
    rest: float


def components(values: np.ndarray) -> Components:
    """Variance components of (n, P) figures of n images and P pairs of models; unknown ones are 0."""
    n, count = values.shape
    if n < 2:
        return Components(0.0, 0.0, 0.0)
    by_image, by_pair, mean = values.mean(axis=1), values.mean(axis=0), values.mean()
    if count < 2:
        return Components(float(by_image.std(ddof=1)), 0.0, 0.0)
    rest = values - by_image[:, None] - by_pair + mean
    within = float((rest**2).sum() / ((n - 1) * (count - 1)))
    image = max(float(by_image.var(ddof=1)) - within / count, 0.0)
    pair = max(float(by_pair.var(ddof=1)) - within / n, 0.0)
    return Components(*(float(np.sqrt(each)) for each in (image, pair, within)))


def pooled_rows(rows: Mapping[str, Row | None], key: str) -> Estimate | None:
    """Mean over models of a figure that each has with its interval; None where a model lacks it.

    All models have the same images, so that their errors go together: the ends are the means of the ends.
    """
    if not rows or any(
        row is None or any(row.get(f"{key}{end}") is None for end in ("", "_low", "_high")) for row in rows.values()
    ):
        return None
    return Estimate(*(float(np.mean([row[f"{key}{end}"] for row in rows.values()])) for end in ("", "_low", "_high")))  # type: ignore[index]


def rows_by_model(rows: Mapping[str, Row | None], key: str) -> dict[str, Estimate]:
    """The figure of each model alone, of rows that `pooled_rows` averages."""
    ends = ("", "_low", "_high")
    return {name: Estimate(*(float(row[f"{key}{end}"]) for end in ends)) for name, row in rows.items() if row}


def fewest_images(rows: Mapping[str, Row | None]) -> int | None:
    """Images behind the rows, the fewest of any model; None where they do not say."""
    return min((int(row["images"]) for row in rows.values() if row and row.get("images")), default=None)


def images_of_all(own: Mapping[str, OnRegion], models: Sequence[str]) -> np.ndarray:
    """Images that count in all of the models, (n,) bool; none where a model is missing."""
    if any(name not in own for name in models):
        return np.zeros(1, dtype=bool)
    return np.all([own[name].counts for name in models], axis=0)
