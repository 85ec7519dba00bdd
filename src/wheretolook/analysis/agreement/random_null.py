"""The null of random weights: how alike a model's maps are to those of networks that have learned nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from wheretolook.analysis.agreement.distance import CENTRES
from wheretolook.analysis.agreement.iou import TOP_FIFTH
from wheretolook.analysis.agreement.measure import Measure
from wheretolook.analysis.agreement.side_by_side import side_by_side
from wheretolook.analysis.agreement.ssim import STRUCTURE, WINDOW
from wheretolook.analysis.agreement.study import Study
from wheretolook.analysis.agreement.subsets import class_members, subset_members
from wheretolook.analysis.maps.correlation import correlate
from wheretolook.analysis.maps.target import open_primary
from wheretolook.analysis.statistics.enough import FEWEST_DRAWS, FEWEST_IMAGES
from wheretolook.cams.manifest import RANDOM

CORRELATIONS = ("pearson", "spearman")  # figures whose sign says nothing of a random network


@dataclass(frozen=True)
class AgainstRandom:
    """A model's primary maps held against those of random networks.

    Attributes:
        rows: (n,) int64, the images, rows of the prepared data.
        values: by figure (D, n) float64: a line for each draw and, of IoU and SSIM, for its negative.
        valid: by figure (D, n) bool, which count.
    """

    rows: np.ndarray
    values: Mapping[str, np.ndarray]
    valid: Mapping[str, np.ndarray]

    def most_alike(self, figure: str, members: np.ndarray) -> float | None:
        """The mean over `members` (n,) bool of the draw that comes nearest; None for too few images, or no figure.

        Of correlations, the mean of the images' |r|; of distances the smallest mean is the nearest.
        """
        if figure not in self.values:
            return None
        counted = self.valid[figure] & members
        images = counted.sum(axis=1)
        if images.min() < FEWEST_IMAGES:
            return None
        values = self.values[figure]
        values = np.abs(values) if figure in CORRELATIONS else values
        means = np.where(counted, values, 0).sum(axis=1) / images
        return float(means.min() if figure == CENTRES.name else means.max())


def against_random(study: Study, name: str) -> AgainstRandom | None:
    """A model's maps of the split against at least ten random networks'; None where there are no such maps."""
    maps = study.maps[name]
    primary, found = open_primary(maps, study.labels), maps.random()
    if found is None or primary is None or len(found[0]) < FEWEST_DRAWS:
        return None
    draws, rows = found
    there = np.isin(rows, study.rows)
    if not there.any() or maps.manifest["arrays"][RANDOM]["layer"] != maps.manifest["layers"][-1]:
        return None
    return hold_against(rows[there], primary.true_class(rows[there]), draws[:, there])


def hold_against(rows: np.ndarray, own: np.ndarray, draws: np.ndarray) -> AgainstRandom:
    """Every figure of maps (n, h, w) of the images `rows` (n,) with each draw's, (draws, n, h, w)."""
    parts = side_by_side([partial(_figures, own, draw) for draw in draws])
    stacked = {key: [line for part in parts for line in part[key]] for key in parts[0]}
    values = {key: np.stack([value for value, _ in lines]) for key, lines in stacked.items()}
    return AgainstRandom(rows, values, {key: np.stack([v for _, v in lines]) for key, lines in stacked.items()})


def _figures(own: np.ndarray, other: np.ndarray) -> dict[str, list[tuple[np.ndarray, np.ndarray]]]:
    """Every figure of maps (n, h, w) with others, and which images count; IoU and SSIM with the negatives too."""
    flat = own.reshape(len(own), -1), other.reshape(len(other), -1)
    found = {"pearson": [correlate(*flat)], "spearman": [correlate(*flat, ranked=True)]}
    found |= {measure.name: _measured(measure, own, other) for measure in (TOP_FIFTH, CENTRES)}
    if min(own.shape[1:]) >= WINDOW:
        found["ssim"] = _measured(STRUCTURE, _standardised(own), _standardised(other))
    return found


def _measured(measure: Measure, own: np.ndarray, other: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    features, lines = measure.features(own), []
    for sign in (1, -1) if measure.signed else (1,):
        null = measure.features(sign * other)
        lines.append((measure.compare(features, null), features[-1] & null[-1]))
    return lines


def _standardised(maps: np.ndarray) -> np.ndarray:
    return (maps - maps.mean()) / (maps.std() or 1)


def random_nulls(study: Study) -> dict[str, AgainstRandom]:
    """By name, of the models that have such maps."""
    return {name: found for name in study.names if (found := against_random(study, name)) is not None}


def add_random_null(study: Study, rows: Sequence[dict[str, Any]], nulls: Mapping[str, AgainstRandom]) -> None:
    """Fill in the null `random` of the primary rows: of the two models the one nearest to a random network.

    It is one figure for a class and subset, so that the excess and its interval are those of the mean, less it.
    """
    known: dict[tuple[str, str, bytes], float | None] = {}
    for row in rows:
        if not row["primary"] or row["mean"] is None or not {row["model_a"], row["model_b"]} <= nulls.keys():
            continue
        own = []
        for model in (row["model_a"], row["model_b"]):
            members = _members(study, row, nulls[model].rows)
            key = (model, row["figure"], members.tobytes())
            if key not in known:
                known[key] = nulls[model].most_alike(row["figure"], members)
            own.append(known[key])
        if None not in own:
            _fill_in(row, own)


def _members(study: Study, row: Mapping[str, Any], rows: np.ndarray) -> np.ndarray:
    """Which of the images `rows` (n,) belong to a row of the table: (n,) bool."""
    right = np.stack([study.right[row[key]] for key in ("model_a", "model_b")], axis=1)
    subset = subset_members(right, [(0, 1)])[row["subset"]][:, 0]
    of_class = dict(class_members(study.labels[study.rows], study.class_names))[row["class_name"]]
    return np.isin(rows, study.rows[subset & of_class])


def _fill_in(row: dict[str, Any], nulls: list[float]) -> None:
    """The nearer of two nulls, and the excess over it with its interval."""
    distance = row["figure"] == CENTRES.name
    row["random"] = null = min(nulls) if distance else max(nulls)
    ends = ("high", "low") if distance else ("low", "high")
    for end, of_excess in (("mean", ""), (ends[0], "_low"), (ends[1], "_high")):
        excess = None if row[end] is None else row[end] - null
        row[f"excess_random{of_excess}"] = -excess if distance and excess is not None else excess
