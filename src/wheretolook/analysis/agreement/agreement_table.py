"""Agreement of every two models, streamed over their memory-mapped maps."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from tqdm import tqdm

from wheretolook.analysis.agreement.agreement_rows import agreement_rows
from wheretolook.analysis.agreement.correlated import Images, Reader, correlated
from wheretolook.analysis.agreement.counted_once import Compared, counted_once
from wheretolook.analysis.agreement.distance import CENTRES
from wheretolook.analysis.agreement.iou import TOP_FIFTH
from wheretolook.analysis.agreement.measured import measured
from wheretolook.analysis.agreement.paired import PairedFigure
from wheretolook.analysis.agreement.pairs import Comparison, comparisons
from wheretolook.analysis.agreement.random_null import add_random_null, random_nulls
from wheretolook.analysis.agreement.side_by_side import side_by_side
from wheretolook.analysis.agreement.ssim import STRUCTURE, WINDOW
from wheretolook.analysis.agreement.study import Study
from wheretolook.analysis.agreement.subsets import class_members, subset_members
from wheretolook.analysis.maps.grid import common_grid, to_grid
from wheretolook.analysis.maps.moments import RunningMoments
from wheretolook.analysis.maps.target import Target, open_target

KEYS = (
    *("model_a", "model_b", "kind", "primary", "method", "layer_a", "layer_b", "contrast"),
    *("split", "class_name", "subset"),
)
Grid = tuple[int, int]


def agreement_table(study: Study, resamples: int, seed: int) -> list[dict[str, Any]]:
    """All rows of `agreement.csv`, primary ones first; every row has the same keys.

    Args:
        study: the models and images.
        resamples: of each interval.
        seed: of each interval.
    """
    rows: list[dict[str, Any]] = []
    before: list[Compared] = []
    for comparison in tqdm(comparisons(study.maps), desc="agreement", unit="maps", disable=None):
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
    """Pearson's r of the primary maps on another split, by class: images trained on, to stand beside those held out."""
    if not len(study.prepared.rows(split)):
        return []
    other = replace(study, split=split)
    rows = []
    for comparison in comparisons(other.maps):
        if comparison.primary:
            targets = {n: open_target(other.maps[n], "cam", y, other.labels) for n, y in comparison.layers.items()}
            for grid, pairs in pairs_by_grid(comparison, targets).items():
                for figure in figures_of(other, targets, grid, pairs, primary=False):
                    rows += figure_rows(other, comparison, figure, pairs, targets, resamples, seed)
    return [row for row in rows if row["subset"] == "all"]


def pairs_by_grid(comparison: Comparison, targets: Mapping[str, Target]) -> dict[Grid, list[tuple[str, str]]]:
    """Pairs of models by the grid that both can be brought to: the coarser of the two."""
    found: dict[Grid, list[tuple[str, str]]] = {}
    for a, b in comparison.pairs:
        found.setdefault(common_grid(targets[a].grid, targets[b].grid), []).append((a, b))
    return found


def reader(targets: list[Target], rows: np.ndarray, grid: Grid) -> Reader:
    """Maps of several models on one grid: positions (b,) in `rows` to (b, M, h * w) float32."""

    def read(positions: np.ndarray) -> np.ndarray:
        maps = [to_grid(target.true_class(rows[positions]), grid) for target in targets]
        return np.stack(maps, axis=1).reshape(len(positions), len(targets), -1)

    return read


def figures_of(
    study: Study, targets: Mapping[str, Target], grid: Grid, pairs: list[tuple[str, str]], primary: bool
) -> list[PairedFigure]:
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
    return side_by_side(wanted)


def standardised(read: Reader, count: int, models: int) -> Reader:
    """A reader whose maps have mean 0 and standard deviation 1 by model, over `count` images and all cells."""
    moments = RunningMoments((models,))
    for block in np.array_split(np.arange(count), max(1, count // 256)):
        moments.add(read(block).transpose(0, 2, 1).reshape(-1, models))
    mean, spread = moments.mean()[:, None], moments.spread()[:, None]
    return lambda positions: (read(positions) - mean) / np.where(spread > 0, spread, 1)


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
