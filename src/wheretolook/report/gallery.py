"""The gallery's images: a sample of one split, fair to every class, to right and wrong, to easy and hard."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from wheretolook.analysis.explained import open_target
from wheretolook.analysis.grid import correlate_maps
from wheretolook.analysis.statistics.classification import softmax
from wheretolook.base.errors import InputError
from wheretolook.mapstore.store import Maps, cam_first
from wheretolook.report.loaded import PAGE
from wheretolook.report.words import NOTHING


@dataclass(frozen=True)
class Gallery:
    """Chosen images of one split.

    Attributes:
        rows: (n,) int64, rows of the prepared data, ascending.
        total: images in the split.
        scores: softmax of the last head by model, (n, K) float64.
        disagreement: (n,) float64, 1 less the mean correlation of two models' maps over pairs: 0 alike to 2 opposed.
            Maps of `method` at each model's last layer, true class, as a contrast. NaN where no pair has a
            correlation (one model, or constant maps).
        method: "cam", or else the first method that all models have at their last layer.
        cells: how many images of each class, right and wrong, are shown of how many.
    """

    rows: np.ndarray
    total: int
    scores: Mapping[str, np.ndarray]
    disagreement: np.ndarray
    method: str
    cells: tuple["Cell", ...] = ()


@dataclass(frozen=True)
class Cell:
    """Images of one class that all models classify correctly, or that some model does not: shown, and in the split."""

    class_index: int
    wrong: bool
    shown: int
    total: int


def choose_rows(labels: np.ndarray, wrong: np.ndarray, count: int, ease: np.ndarray | None = None) -> np.ndarray:
    """Which of n images to show: of each class, images that all models classify correctly and others, in equal shares.

    What such a part cannot fill, the others share; so each part that has images has one, given `count` of them. Within
    a part, images are taken at even distances from the hardest to the easiest.

    Args:
        labels: (n,) class index.
        wrong: (n,) bool, whether some model erred.
        count: how many to choose at most.
        ease: (n,) how easy each image is, for instance the score of its true class; None: in the order of the data.

    Returns:
        Positions, int64, ascending.
    """
    chosen, rest = np.zeros(0, np.int64), count
    order = np.arange(len(labels)) if ease is None else np.argsort(ease, kind="stable")
    parts = [
        order[(labels == k)[order] & (wrong == erred)[order]] for k in np.unique(labels) for erred in (True, False)
    ]
    parts = [positions for positions in parts if len(positions)]
    # Smallest first: what it cannot fill, the others share.
    for left, positions in zip(range(len(parts), 0, -1), sorted(parts, key=len), strict=True):
        taken = _spread(positions, min(len(positions), rest // left))
        chosen, rest = np.concatenate([chosen, taken]), rest - len(taken)
    return np.sort(chosen)


def make_gallery(maps: Mapping[str, Maps], labels: np.ndarray, rows: np.ndarray, count: int) -> Gallery:
    """Choose images of a split and gather the models' scores for them.

    Args:
        maps: by model.
        labels: (N,) class index of all images.
        rows: (n,) images to choose from.
        count: how many at most.

    Raises:
        InputError: the models have no method in common at their last layers.
    """
    wrong = np.any([stored.logits()[rows].argmax(axis=1) != labels[rows] for stored in maps.values()], axis=0)
    positions = choose_rows(labels[rows], wrong, count, _ease(maps, labels, rows))
    chosen = rows[positions]
    method = shared_method(maps)
    last = [open_target(stored, method, stored.manifest["layers"][-1], labels) for stored in maps.values()]
    return Gallery(
        rows=chosen,
        total=len(rows),
        scores={name: softmax(stored.logits()[chosen]) for name, stored in maps.items()},
        disagreement=disagreement([target.true_class(chosen) for target in last]),
        method=method,
        cells=_cells(labels[rows], wrong, positions),
    )


def _ease(maps: Mapping[str, Maps], labels: np.ndarray, rows: np.ndarray, step: int = 4096) -> np.ndarray:
    """(n,) mean score of the true class over models; in steps, since a split may have many images and classes."""
    each = []
    for stored in maps.values():
        scores = [softmax(stored.logits()[part]) for part in np.split(rows, range(step, len(rows), step))]
        each.append(
            np.concatenate(
                [
                    part[np.arange(len(part)), labels[some]]
                    for part, some in zip(scores, np.split(rows, range(step, len(rows), step)), strict=True)
                ]
            )
        )
    return np.mean(each, axis=0)


def _cells(labels: np.ndarray, wrong: np.ndarray, shown: np.ndarray) -> tuple[Cell, ...]:
    """Every non-empty combination of a class with right or wrong."""
    chosen = np.isin(np.arange(len(labels)), shown)
    cells = [
        (int(k), erred, own)
        for k in np.unique(labels)
        for erred in (False, True)
        if (own := (labels == k) & (wrong == erred)).any()
    ]
    return tuple(Cell(k, erred, int((own & chosen).sum()), int(own.sum())) for k, erred, own in cells)


def shared_method(maps: Mapping[str, Maps]) -> str:
    """The method that compares the last layers of all models: CAM where all have it.

    Raises:
        InputError: there is none.
    """
    each = [{m for m, layer in stored.names if layer == stored.manifest["layers"][-1]} for stored in maps.values()]
    shared = cam_first(set.intersection(*each))
    if not shared:
        raise InputError(
            "maps", expected="one method that all models have at their last layer", found="none", hint='run "dvc repro"'
        )
    return shared[0]


def disagreement(maps: list[np.ndarray]) -> np.ndarray:
    """1 minus the mean Pearson correlation over pairs of models, image by image, on the coarser grid of each pair.

    Args:
        maps: for each model (n, h, w), signed.

    Returns:
        (n,) float64; NaN where no pair has a correlation, since a constant map has none.
    """
    pairs = [(a, b) for i, a in enumerate(maps) for b in maps[i + 1 :]]
    if not pairs:
        return np.full(len(maps[0]), np.nan)
    each = np.stack([_correlation(a, b) for a, b in pairs])
    known = np.isfinite(each)
    total = np.where(known, each, 0).sum(axis=0)
    return 1 - np.divide(total, known.sum(axis=0), out=np.full(each.shape[1], np.nan), where=known.any(axis=0))


def _correlation(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Pearson's r of each image's two maps, (n,) float64; NaN where one is constant, as `correlate_maps` decides."""
    r, vary = correlate_maps(a, b)
    return np.where(vary, r, np.nan)


def _spread(positions: np.ndarray, count: int) -> np.ndarray:
    """`count` of the positions at even distances from the first to the last; of one, the middle."""
    if count == 1:
        return positions[[(len(positions) - 1) // 2]]
    return positions[np.rint(np.linspace(0, len(positions) - 1, count)).astype(np.int64)]


def sample_rows(class_names: Sequence[str], cells: Sequence[Cell]) -> list[dict[str, str]]:
    """How many images of each class, right and wrong, are shown of how many; of many classes, of all together."""
    many = len({cell.class_index for cell in cells}) > PAGE
    rows: dict[str, dict[bool, list[Cell]]] = {}
    for cell in cells:
        name = "all classes" if many else class_names[cell.class_index]
        rows.setdefault(name, {False: [], True: []})[cell.wrong].append(cell)
    return [{"name": name, "right": _of(by[False]), "wrong": _of(by[True])} for name, by in rows.items()]


def _of(cells: Sequence[Cell]) -> str:
    """ "12 of 40"; a dash where the split has none."""
    total = sum(cell.total for cell in cells)
    return f"{sum(cell.shown for cell in cells):,} of {total:,}" if total else NOTHING
