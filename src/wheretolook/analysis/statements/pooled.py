"""Findings of one class that statements are made from, and their pooling into estimates."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from wheretolook.analysis.agreement.correlated import Counted
from wheretolook.analysis.classes.class_differences import PairDifference
from wheretolook.analysis.localisation.common_place import OnRegion
from wheretolook.analysis.statements.rules import Estimate
from wheretolook.analysis.statistics.bootstrap import mean_intervals
from wheretolook.analysis.statistics.discrimination import Recognition

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


def images_of_all(own: Mapping[str, OnRegion], models: Sequence[str]) -> np.ndarray:
    """Images that count in all of the models, (n,) bool; none where a model is missing."""
    if any(name not in own for name in models):
        return np.zeros(1, dtype=bool)
    return np.all([own[name].counts for name in models], axis=0)
