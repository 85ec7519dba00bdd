"""Which images the page and the pictures show, what each model said of them, and how much the maps of models differ."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from wheretolook.analysis.maps.correlation import correlate_maps
from wheretolook.analysis.maps.target import open_target
from wheretolook.analysis.statistics.classification import softmax
from wheretolook.cams.method_order import cam_first
from wheretolook.cams.store import Maps
from wheretolook.data.refusal import Refusal


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
    """

    rows: np.ndarray
    total: int
    scores: Mapping[str, np.ndarray]
    disagreement: np.ndarray
    method: str


def choose_rows(labels: np.ndarray, wrong: np.ndarray, count: int) -> np.ndarray:
    """Which of n images to show: of each class those right in all models, and the others, in equal shares.

    What such a part cannot fill, the others share; so each part that has images has one, given `count` of them. Within
    a part, images are taken at even distances.

    Args:
        labels: (n,) class index.
        wrong: (n,) bool, whether some model erred.
        count: how many to choose at most.

    Returns:
        Positions, int64, ascending.
    """
    chosen, rest = np.zeros(0, np.int64), count
    parts = [np.flatnonzero((labels == k) & (wrong == erred)) for k in np.unique(labels) for erred in (True, False)]
    parts = [positions for positions in parts if len(positions)]
    # Smallest first: what it cannot fill, the others share.
    for left, positions in zip(range(len(parts), 0, -1), sorted(parts, key=len), strict=True):
        taken = _spread(positions, min(len(positions), rest // left))
        chosen, rest = np.concatenate([chosen, taken]), rest - len(taken)
    return np.sort(chosen)


def make_gallery(maps: Mapping[str, Maps], labels: np.ndarray, rows: np.ndarray, count: int) -> Gallery:
    """Choose images of a split and gather what the models said of them.

    Args:
        maps: by model.
        labels: (N,) class index of all images.
        rows: (n,) images to choose from.
        count: how many at most.

    Raises:
        Refusal: the models have no method in common at their last layers.
    """
    wrong = np.any([stored.logits()[rows].argmax(axis=1) != labels[rows] for stored in maps.values()], axis=0)
    chosen = rows[choose_rows(labels[rows], wrong, count)]
    method = shared_method(maps)
    last = [open_target(stored, method, stored.manifest["layers"][-1], labels) for stored in maps.values()]
    return Gallery(
        rows=chosen,
        total=len(rows),
        scores={name: softmax(stored.logits()[chosen]) for name, stored in maps.items()},
        disagreement=disagreement([target.true_class(chosen) for target in last]),
        method=method,
    )


def shared_method(maps: Mapping[str, Maps]) -> str:
    """The method by which the maps of all models' last layers are laid side by side: CAM where all have it.

    Raises:
        Refusal: there is none.
    """
    each = [{m for m, layer in stored.names if layer == stored.manifest["layers"][-1]} for stored in maps.values()]
    shared = cam_first(set.intersection(*each))
    if not shared:
        raise Refusal('maps: expected one method that all models have at their last layer; found none; run "dvc repro"')
    return shared[0]


def disagreement(maps: list[np.ndarray]) -> np.ndarray:
    """1 less the mean Pearson correlation over pairs of models, image by image, on the coarser grid of each pair.

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
    """`count` of the positions at even distances: no draw, so no seed."""
    return positions[(np.arange(count) * len(positions)) // count] if count else positions[:0]
