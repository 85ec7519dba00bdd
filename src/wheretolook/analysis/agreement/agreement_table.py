"""Rows of the agreement table: each figure with its interval, its baselines, and its excess over each baseline."""

import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial
from itertools import combinations
from typing import Any

import numpy as np
from tqdm import tqdm

from wheretolook.analysis.agreement.agreement_baselines import (
    add_random_null,
    class_members,
    random_nulls,
    subset_members,
)
from wheretolook.analysis.agreement.correlated import Images, PairedFigure, correlated, reader, standardised
from wheretolook.analysis.agreement.measured import measured
from wheretolook.analysis.agreement.measures import CENTRES, STRUCTURE, TOP_FIFTH, WINDOW, side_by_side
from wheretolook.analysis.agreement.study import (
    Compared,
    Comparison,
    Study,
    comparisons,
    counted_once,
    pairs_by_grid,
)
from wheretolook.analysis.explained import Target, open_target
from wheretolook.analysis.grid import common_grid
from wheretolook.analysis.results.comparison_result import FIGURE_COLUMNS, KEYS, NULLS, AgreementResult
from wheretolook.analysis.results.schema import FEWEST_IMAGES, checked
from wheretolook.analysis.statistics.bootstrap import Means, mean_intervals
from wheretolook.analysis.statistics.classification import group_sums
from wheretolook.mapstore.store import LABEL_MAPS

Row = dict[str, Any]


PAIRS, ELEMENTS = 64, 2**20  # most pairs of models, and figures of images and pairs, whose intervals are drawn at once
MEMORY = 256 * 2**20  # bytes of the figures that are held at once


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
    rows: list[Row] = []
    sample = Resampling(np.asarray(members.any(axis=1)), groups, resamples, seed)
    step = max(1, min(PAIRS, ELEMENTS // max(1, len(members))))
    for start in range(0, members.shape[1], step):
        block = slice(start, start + step)
        rows += _rows_of_pairs(figure.of_pairs(block), members[:, block], sample)
    return rows


@dataclass(frozen=True)
class Resampling:
    """How intervals are drawn: from which images, (n,) bool, of which groups, (n,), how often, and with which seed."""

    images: np.ndarray
    groups: np.ndarray
    resamples: int
    seed: int

    @cached_property
    def codes(self) -> np.ndarray:
        """Group of each of the images that it is drawn from, from 0: (m,) int64."""
        return np.unique(self.groups[self.images], return_inverse=True)[1]


def _rows_of_pairs(figure: PairedFigure, members: np.ndarray, sample: Resampling) -> list[Row]:
    counted = figure.observed.valid & members
    images, all_groups = counted.sum(axis=0), int(sample.codes.max(initial=-1)) + 1
    sizes = group_sums(counted[sample.images], sample.codes, all_groups)
    rows = [
        dict.fromkeys(FIGURE_COLUMNS)
        | {"figure": figure.name, "images": int(own), "groups": int(present), "left_out": int(whole - own)}
        for own, present, whole in zip(images, (sizes > 0).sum(axis=0), members.sum(axis=0), strict=True)
    ]
    enough = np.flatnonzero(images >= FEWEST_IMAGES)
    if len(enough):
        figure, members, counted = figure.of_pairs(enough), members[:, enough], counted[:, enough]
        found = _figures(figure, members, sample)
        if all_groups < len(sample.codes):
            sums = group_sums(np.where(counted, figure.observed.values, 0)[sample.images], sample.codes, all_groups)
            for row, *of_groups in zip(found, sums.T, sizes[:, enough].T, strict=True):
                row |= group_spread(*of_groups)
        for p, row in zip(enough, found, strict=True):
            rows[p] |= row
    return rows


def group_spread(sums: np.ndarray, sizes: np.ndarray) -> dict[str, float]:
    """Lowest, highest and standard deviation of the groups' means (n - 1); nothing where each image is a group.

    Args:
        sums: (G,) sum of the figures of each group's images.
        sizes: (G,) their number, 0 for a group that has none.
    """
    there = sizes > 0
    if there.sum() == sizes.sum() or there.sum() < 2:
        return {}
    means = sums[there] / sizes[there]
    lowest, highest, sd = float(means.min()), float(means.max()), float(means.std(ddof=1))
    return {"group_lowest": lowest, "group_highest": highest, "group_sd": sd}


def _figures(figure: PairedFigure, members: np.ndarray, sample: Resampling) -> list[Row]:
    """Mean of the figure and of each null, and excess over each null, of pairs with enough images: a row for each."""
    nulls = [null for null in NULLS if null in figure.nulls]
    parts = [figure.observed, *(figure.excess(null, members) for null in nulls)]
    low, high = figure.bounds
    bounds = [(low, high)] + [(low - high, high - low)] * len(nulls)
    pairs = members.shape[1]
    values = np.concatenate([part.values[sample.images] for part in parts], axis=1)
    valid = np.concatenate([(part.valid & members)[sample.images] for part in parts], axis=1)
    ends = np.repeat(np.array(bounds), pairs, axis=0)
    means = mean_intervals(values, valid, sample.codes, sample.resamples, sample.seed, ends)
    rows: list[Row] = []
    for p in range(pairs):
        row = {"mean": float(means.mean[p]), "sd": float(means.sd[p])} | _ends(means, p, ("low", "high"))
        for key, column in zip(nulls, range(pairs + p, len(parts) * pairs, pairs), strict=True):
            if means.images[column] >= FEWEST_IMAGES:
                row[f"excess_{key}"] = float(means.mean[column])
                row |= _ends(means, column, (f"excess_{key}_low", f"excess_{key}_high"))
        rows.append(row)
    for null in nulls:
        valid = figure.nulls[null].valid & members
        images = valid.sum(axis=0)
        sums = np.where(valid, figure.nulls[null].values, 0).sum(axis=0)
        for p in np.flatnonzero(images >= FEWEST_IMAGES).tolist():
            rows[p][null] = float(sums[p] / images[p])
    return rows


def _ends(means: Means, column: int, names: tuple[str, str]) -> Row:
    """The ends of one interval, where there were groups enough for one."""
    if not means.bounded[column]:
        return {}
    return dict(zip(names, (float(means.low[column]), float(means.high[column])), strict=True))


def agreement_table(study: Study, resamples: int, seed: int) -> list[dict[str, Any]]:
    """All rows of `agreement.csv`, primary ones first; every row has the same keys.

    Args:
        study: the models and images.
        resamples: of each interval.
        seed: of each interval.
    """
    rows: list[dict[str, Any]] = []
    before: list[Compared] = []
    for comparison in tqdm(comparisons(study.maps, study.primary), desc="agreement", unit="maps", disable=None):
        targets = {
            name: open_target(study.maps[name], comparison.method, layer, study.labels)
            for name, layer in comparison.layers.items()
        }
        before.append((comparison, targets))
        comparison = counted_once(comparison, targets, before[:-1])
        for grid, pairs in pairs_by_grid(comparison, targets).items():
            for figure in figures_of(study, targets, grid, pairs, comparison.primary):
                rows += figure_rows(study, comparison, figure, pairs, targets, resamples, seed)
    add_random_null(study, rows, random_nulls(study))
    return rows


def agreement_on(study: Study, split: str, resamples: int, seed: int) -> list[dict[str, Any]]:
    """Pearson's r of the primary maps on another split, by class, such as the images that were trained on."""
    if not len(study.prepared.rows(split)):
        return []
    other = replace(study, split=split)
    rows = []
    for comparison in comparisons(other.maps, other.primary):
        if comparison.primary:
            layers, method = comparison.layers, comparison.method
            targets = {n: open_target(other.maps[n], method, layer, other.labels) for n, layer in layers.items()}
            for grid, pairs in pairs_by_grid(comparison, targets).items():
                for figure in figures_of(other, targets, grid, pairs, primary=False):
                    rows += figure_rows(other, comparison, figure, pairs, targets, resamples, seed)
    return [row for row in rows if row["subset"] == "all"]


def figures_of(
    study: Study, targets: Mapping[str, Target], grid: tuple[int, int], pairs: list[tuple[str, str]], primary: bool
) -> Iterator[PairedFigure]:
    """Pearson's r of every pair and image; of primary maps every other figure too (SSIM from 7 x 7 cells on)."""
    members = list(dict.fromkeys(name for pair in pairs for name in pair))
    numbers = [(members.index(a), members.index(b)) for a, b in pairs]
    read = reader([targets[name] for name in members], study.rows, grid)
    images = Images(study.labels[study.rows], study.groups[study.rows])
    about = (images, grid, len(members), numbers)
    wanted = [partial(correlated, read, *about, ranked=False)]
    if primary:
        wanted.append(partial(correlated, read, *about, ranked=True))
        wanted += [partial(measured, measure, read, *about) for measure in (TOP_FIFTH, CENTRES)]
        if min(grid) >= WINDOW:
            scaled = standardised(read, len(study.rows), len(members))
            wanted.append(partial(measured, STRUCTURE, scaled, *about))
    at_once = max(1, MEMORY // (4 * 8 * len(study.rows) * len(pairs)))
    for start in range(0, len(wanted), at_once):
        yield from side_by_side(wanted[start : start + at_once])


def figure_rows(
    study: Study,
    comparison: Comparison,
    figure: PairedFigure,
    pairs: list[tuple[str, str]],
    targets: Mapping[str, Target],
    resamples: int,
    seed: int,
) -> list[dict[str, Any]]:
    """Rows of one figure, by class and subset."""
    right = np.stack([study.right[name] for name in study.names], axis=1)
    numbers = [(study.names.index(a), study.names.index(b)) for a, b in pairs]
    groups, rows = study.groups[study.rows], []
    parts = [
        (class_name, subset, members & of_class[:, None])
        for class_name, of_class in class_members(study.labels[study.rows], study.class_names)
        for subset, members in subset_members(right, numbers).items()
    ]
    tables = side_by_side([partial(agreement_rows, figure, own, groups, resamples, seed) for *_, own in parts])
    for (class_name, subset, _), found in zip(parts, tables, strict=True):
        for (a, b), row in zip(pairs, found, strict=True):
            about = (a, b, study.kind(a, b), int(comparison.primary), comparison.method)
            contrasts = int(targets[a].contrasted and targets[b].contrasted)
            where = (comparison.layers[a], comparison.layers[b], contrasts, study.split, class_name, subset)
            rows.append(dict(zip(KEYS, (*about, *where), strict=True)) | row)
    return rows


def label_agreement(study: Study, resamples: int, seed: int) -> list[dict[str, Any]]:
    """Agreement of every two models on the own maps of each label that both learned, over the images that have it."""
    known = {name: labels for name, maps in study.maps.items() if (labels := maps.labels())}
    names, rows = study.prepared.label_names, []
    table = study.prepared.label_table()[study.rows] if names else np.zeros((0, 0))
    for k, label in enumerate(names):
        at, members = study.rows[table[:, k] == 1], [name for name, (own, *_) in known.items() if label in own]
        for a, b in combinations(members, 2) if len(at) else ():
            entries = [study.maps[name].manifest["arrays"][LABEL_MAPS] for name in (a, b)]
            arrays = [known[name][2][:, known[name][0].index(label)][:, None] for name in (a, b)]
            targets = [Target(array, study.labels, every_class=False) for array in arrays]
            grid, groups = common_grid(targets[0].grid, targets[1].grid), study.groups[at]
            about = (Images(np.zeros(len(at), np.int64), groups), grid, 2, [(0, 1)])
            figure = correlated(reader(targets, at, grid), *about, ranked=False)
            (found,) = agreement_rows(figure, np.ones((len(at), 1), dtype=bool), groups, resamples, seed)
            pair = (a, b, study.kind(a, b), 0, entries[0]["method"], *(entry["layer"] for entry in entries))
            rows.append(dict(zip(KEYS, (*pair, 0, study.split, label, "all"), strict=True)) | found)
    return rows


FORMAT = 1
DIGITS = 6  # significant: more would be noise in a diff


def rounded(row: dict[str, Any]) -> dict[str, Any]:
    """The row with its floats cut to six significant digits."""
    return {key: float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value for key, value in row.items()}


def agreement_csv(rows: list[dict[str, Any]]) -> str:
    """The table as CSV text; what does not exist is empty."""
    text = io.StringIO()
    writer = csv.DictWriter(text, [*KEYS, *FIGURE_COLUMNS], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rounded(row) for row in rows)
    return text.getvalue()


def agreement_json(
    study: Study, rows: list[dict[str, Any]], train: list[dict[str, Any]], labels: list[dict[str, Any]]
) -> AgreementResult:
    """The primary rows over all images, what they are of, and those of the split that was trained on, and by label."""
    names = study.names
    pairs = [(a, b) for i, a in enumerate(names) for b in names[i + 1 :]]
    found = {
        "format": FORMAT,
        "split": study.split,
        "models": names,
        "pairs": [{"model_a": a, "model_b": b, "kind": study.kind(a, b)} for a, b in pairs],
        "rows": [rounded(row) for row in rows if row["primary"] and row["subset"] == "all"],
        "rows_train": [rounded(row) for row in train],
        "rows_labels": [rounded(row) for row in labels],
    }
    return checked(AgreementResult, found)
