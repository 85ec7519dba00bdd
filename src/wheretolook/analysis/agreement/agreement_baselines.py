"""Baselines of agreement: other images of the class, and networks of random weights; and subsets of images.

Agreement is reported for all images, and by whether both models, one or none of them classified an image right.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from wheretolook.analysis.agreement.measures import CENTRES, STRUCTURE, TOP_FIFTH, WINDOW, Measure, side_by_side
from wheretolook.analysis.agreement.study import Study
from wheretolook.analysis.explained import open_primary
from wheretolook.analysis.grid import average_ranks, standardise
from wheretolook.analysis.results.comparison_result import ALL_CLASSES
from wheretolook.analysis.results.schema import FEWEST_DRAWS, FEWEST_IMAGES
from wheretolook.mapstore.store import RANDOM


def subset_members(right: np.ndarray, pairs: list[tuple[int, int]]) -> dict[str, np.ndarray]:
    """Which images belong to each subset of each pair.

    Args:
        right: (n, M) bool, whether each model classified each image right.
        pairs: P pairs of models.

    Returns:
        Subset to (n, P) bool.
    """
    first, second = np.array(pairs).T
    a, b = right[:, first], right[:, second]
    return {"all": np.ones_like(a), "both_right": a & b, "one_wrong": a ^ b, "both_wrong": ~a & ~b}


def class_members(classes: np.ndarray, class_names: tuple[str, ...]) -> Iterator[tuple[str, np.ndarray]]:
    """Each class's name with its images, (n,) bool, then all images under the name `ALL_CLASSES`."""
    for k, name in enumerate(class_names):
        yield name, classes == k
    yield ALL_CLASSES, np.ones(len(classes), dtype=bool)


BLOCK = 2**18  # elements of a block of the matrix of all pairs: it stays in the processor's cache
PARTNERS = 4  # other images that a map is compared with where all pairs would cost too much


class OtherImages:
    """Mean over all other images j of f(a_i, b_j) and f(a_j, b_i), for each image i of one class, block by block.

    Other images are those of another group.

    Args:
        groups: (n,) group of each image.
    """

    def __init__(self, groups: np.ndarray) -> None:
        self._groups = groups
        self._sums = np.zeros((2, len(groups)))
        self._counts = np.zeros((2, len(groups)), dtype=np.int64)

    def add(
        self,
        a: np.ndarray,
        b: np.ndarray,
        cross: Callable[[slice], np.ndarray],
        first: np.ndarray,
        second: np.ndarray,
    ) -> None:
        """Take in each image of one block with each of another. In the end each pair of blocks must have come once.

        Args:
            a: (s,) int64, the images i of whole groups, group by group (`whole_group_blocks`).
            b: (t,) int64, the images j: those of `a`, or of other groups.
            cross: some of the rows i to f(a_i, b_j) for all j, (r, t).
            first: (s,) bool, whether a_i counts.
            second: (t,) bool, whether b_j counts.
        """
        own = own_group(self._groups[a]) if a is b else None
        step = max(1, BLOCK // len(b))
        for start in range(0, len(a), step):
            rows = slice(start, min(start + step, len(a)))
            block = cross(rows)
            self._sums[0, a[rows]] += block @ second.astype(block.dtype)
            self._sums[1, b] += first[rows].astype(block.dtype) @ block
            if own is not None:
                self._leave_out(own, a, block, rows, first, second)
        self._counts[0, a] += second.sum()
        self._counts[1, b] += first.sum()
        if own is not None:
            self._counts[0, a] -= own.sums(second)
            self._counts[1, b] -= own.sums(first)

    def _leave_out(
        self, own: "OwnGroup", a: np.ndarray, block: np.ndarray, rows: slice, first: np.ndarray, second: np.ndarray
    ) -> None:
        """Subtract what images have brought that are of the same group, or the same image: `block` (r, s) of `rows`."""
        alone = own.alone[(own.alone >= rows.start) & (own.alone < rows.stop)]
        values = block[alone - rows.start, alone]
        self._sums[0, a[alone]] -= values * second[alone]
        self._sums[1, a[alone]] -= values * first[alone]
        for start, stop in own.several:
            some, whole = slice(max(start, rows.start), min(stop, rows.stop)), slice(start, stop)
            if some.start < some.stop:
                values = block[some.start - rows.start : some.stop - rows.start, whole]
                self._sums[0, a[some]] -= values @ second[whole].astype(np.float64)
                self._sums[1, a[whole]] -= first[some].astype(np.float64) @ values

    def mean(self) -> tuple[np.ndarray, np.ndarray]:
        """(n,) float64, and (n,) bool: whether there was any other image both ways."""
        return (self._sums / np.maximum(self._counts, 1)).mean(axis=0), np.all(self._counts > 0, axis=0)


@dataclass(frozen=True)
class OwnGroup:
    """The groups of s images that stand group by group.

    Attributes:
        alone: (m,) int64, images that are a group by themselves.
        several: (start, stop) of every other group.
        codes: (s,) int64, each image's group, from 0.
    """

    alone: np.ndarray
    several: list[tuple[int, int]]
    codes: np.ndarray

    def sums(self, counts: np.ndarray) -> np.ndarray:
        """How many images of each image's own group count, itself among them: (s,) bool to (s,) int64."""
        return np.bincount(self.codes, weights=counts).astype(np.int64)[self.codes]


def own_group(groups: np.ndarray) -> OwnGroup:
    """The groups of images (s,) that stand group by group."""
    begins = np.append(True, groups[1:] != groups[:-1])
    starts = np.flatnonzero(begins)
    stops = np.append(starts[1:], len(groups))
    alone = stops - starts == 1
    return OwnGroup(
        starts[alone], list(zip(starts[~alone].tolist(), stops[~alone].tolist(), strict=True)), begins.cumsum() - 1
    )


def partners(groups: np.ndarray) -> np.ndarray:
    """A few other images for each, spread evenly over the class, where all pairs would cost too much.

    Args:
        groups: (n,) group of each image.

    Returns:
        (PARTNERS, n) int64; an image of the same group is none, and must be left out.
    """
    order = np.argsort(groups, kind="stable")
    found = np.empty((PARTNERS, len(groups)), dtype=np.int64)
    for turn in range(PARTNERS):
        found[turn, order] = np.roll(order, (turn + 1) * len(groups) // (PARTNERS + 1))
    return found


CORRELATIONS = ("pearson", "spearman")  # figures whose sign says nothing of a random network


@dataclass(frozen=True)
class AgainstRandom:
    """A model's primary maps compared with those of random networks.

    Attributes:
        rows: (n,) int64, the images, rows of the prepared data.
        values: by figure (D, n) float64: a line for each draw and, of IoU and SSIM, for its negative.
        valid: by figure (D, n) bool, which count.
    """

    rows: np.ndarray
    values: Mapping[str, np.ndarray]
    valid: Mapping[str, np.ndarray]

    def most_alike(self, figure: str, members: np.ndarray) -> np.ndarray:
        """The mean of the draw that comes nearest, over each of P selections of images, `members` (n, P) bool.

        Of correlations, the mean of the images' |r|; of distances the smallest mean is the nearest.

        Returns:
            (P,) float64, NaN for too few images, or no figure.
        """
        if figure not in self.values:
            return np.full(members.shape[1], np.nan)
        values, valid = self.values[figure], self.valid[figure]
        values = np.abs(values) if figure in CORRELATIONS else values
        images = valid.astype(np.float64) @ members  # (D, P)
        means = (np.where(valid, values, 0) @ members) / np.maximum(images, 1)
        nearest = means.min(axis=0) if figure == CENTRES.name else means.max(axis=0)
        return np.where(images.min(axis=0) < FEWEST_IMAGES, np.nan, nearest)


def against_random(study: Study, name: str) -> AgainstRandom | None:
    """A model's maps of the split against at least ten random networks'; None where there are no such maps."""
    maps = study.maps[name]
    primary, found = open_primary(maps, study.labels, study.primary), maps.random()
    if found is None or primary is None or len(found[0]) < FEWEST_DRAWS:
        return None
    draws, rows = found
    there = np.isin(rows, study.rows)
    entry, last = maps.manifest["arrays"][RANDOM], maps.manifest["layers"][-1]
    # Where there is a CAM, gradcam is the same map but for its scale, which no figure depends on.
    same = entry["method"] == study.primary or ("cam", last) in maps.names
    if not there.any() or entry["layer"] != last or not same:
        return None
    return compare_with(rows[there], primary.true_class(rows[there]), draws[:, there])


def compare_with(rows: np.ndarray, own: np.ndarray, draws: np.ndarray) -> AgainstRandom:
    """Every figure of maps (n, h, w) of the images `rows` (n,) with each draw's, (D, n, h, w)."""
    found = {}
    for figure, prepare in (("pearson", np.asarray), ("spearman", average_ranks)):
        flat = (prepare(maps.reshape(*maps.shape[:-2], -1)) for maps in (own, draws))
        (a, a_varies), (b, b_varies) = (standardise(rows) for rows in flat)
        found[figure] = np.einsum("nc,dnc->dn", a, b).astype(np.float64), a_varies & b_varies
    found |= {measure.name: _measured(measure, own, draws) for measure in (TOP_FIFTH, CENTRES)}
    if min(own.shape[1:]) >= WINDOW:
        scaled = np.stack([_standardised(draw) for draw in draws])
        found["ssim"] = _measured(STRUCTURE, _standardised(own), scaled)
    values, valid = ({figure: each[part] for figure, each in found.items()} for part in (0, 1))
    return AgainstRandom(rows, values, valid)


def _measured(measure: Measure, own: np.ndarray, draws: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """One figure, and which images count, (D, n) each; of signed ones each draw's negative too, (2 D, n)."""
    features = measure.features(own)
    values, valid = [], []
    for sign in (1, -1) if measure.signed else (1,):
        null = measure.features(sign * draws)
        values.append(measure.compare(features, null))
        valid.append(features[-1] & null[-1])
    return np.concatenate(values), np.concatenate(valid)


def _standardised(maps: np.ndarray) -> np.ndarray:
    return (maps - maps.mean()) / (maps.std() or 1)


def random_nulls(study: Study) -> dict[str, AgainstRandom]:
    """By name, of the models that have such maps."""
    found = side_by_side([partial(against_random, study, name) for name in study.names])
    return {name: each for name, each in zip(study.names, found, strict=True) if each is not None}


def add_random_null(study: Study, rows: Sequence[dict[str, Any]], nulls: Mapping[str, AgainstRandom]) -> None:
    """Fill in the null `random` of the primary rows: of the two models the one nearest to a random network.

    It is one figure for a class and subset, so that the excess and its interval are those of the mean, less it.
    """
    tables: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
    for row in rows:
        if row["primary"] and row["mean"] is not None and {row["model_a"], row["model_b"]} <= nulls.keys():
            tables.setdefault((row["class_name"], row["subset"], row["figure"]), []).append(row)
    right = np.stack([study.right[name] for name in study.names], axis=1)
    numbers = {name: number for number, name in enumerate(study.names)}
    classes = dict(class_members(study.labels[study.rows], study.class_names))
    for (class_name, subset, figure), table in tables.items():
        pairs = [(numbers[row["model_a"]], numbers[row["model_b"]]) for row in table]
        members = subset_members(right, pairs)[subset] & classes[class_name][:, None]
        found = np.full((2, len(table)), np.nan)
        for name, number in numbers.items():
            first, second = np.array(pairs).T
            own = (first == number) | (second == number)
            if own.any():
                images = members[np.searchsorted(study.rows, nulls[name].rows)]
                found[(second[own] == number).astype(int), own] = nulls[name].most_alike(figure, images[:, own])
        for row, both in zip(table, found.T.tolist(), strict=True):
            if not np.isnan(both).any():
                _fill_in(row, both)


def _fill_in(row: dict[str, Any], nulls: list[float]) -> None:
    """The nearer of two nulls, and the excess over it with its interval."""
    distance = row["figure"] == CENTRES.name
    row["random"] = null = min(nulls) if distance else max(nulls)
    ends = ("high", "low") if distance else ("low", "high")
    for end, of_excess in (("mean", ""), (ends[0], "_low"), (ends[1], "_high")):
        excess = None if row[end] is None else row[end] - null
        row[f"excess_random{of_excess}"] = -excess if distance and excess is not None else excess
