"""A figure of agreement for every image and pair of models, with its nulls, class by class."""

import numpy as np

from wheretolook.analysis.bootstrap import group_sums
from wheretolook.analysis.centre import centre_prior
from wheretolook.analysis.correlated import Images, Reader
from wheretolook.analysis.measure import Features, Measure, select
from wheretolook.analysis.others import Others, other_images
from wheretolook.analysis.paired import Counted, Pair, PairedFigure, both


def measured(
    measure: Measure, read: Reader, images: Images, grid: tuple[int, int], models: int, pairs: list[Pair]
) -> PairedFigure:
    """One figure for n images and P pairs; nulls as in `correlated`.

    The maps of one class are held in memory: n * M * h * w float32, and the features of as many.

    Args:
        measure: the figure.
        read: maps of the given positions on one grid.
        images: class and group of each of n positions.
        grid: (h, w).
        models: M, models that `read` gives.
        pairs: P pairs of models, as numbers below M.
    """
    names = ("observed", "other", "centre", "mean_map")
    values = {name: np.zeros((len(images.classes), len(pairs))) for name in names}
    valid = {name: np.zeros((len(images.classes), len(pairs)), dtype=bool) for name in names}
    prior = centre_prior(grid)
    prior = (prior - prior.mean()) / prior.std()
    for k in np.unique(images.classes):
        at = np.flatnonzero(images.classes == k)
        maps = read(at).reshape(len(at), models, *grid)
        for name, (found, counts) in _of_class(measure, maps, images.groups[at], prior, pairs).items():
            values[name][at], valid[name][at] = found, counts
    counted = {name: Counted(values[name], valid[name]) for name in names}
    observed = counted.pop("observed")
    return PairedFigure(measure.name, observed, counted, images.classes, measure.more_is_alike, measure.bounds)


def _of_class(
    measure: Measure, maps: np.ndarray, groups: np.ndarray, prior: np.ndarray, pairs: list[Pair]
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Values and what counts, (n, P) each, of the figure and its nulls: maps (n, M, h, w) of one class."""
    features = measure.features(maps)
    there = features[-1]
    observed = np.logical_and(*both(there, pairs))
    others = other_images(groups)
    columns = [_other(measure, select(features, np.s_[:, a]), select(features, np.s_[:, b]), others) for a, b in pairs]
    elsewhere, any_other = _mean_elsewhere(maps, groups)
    centre = _prior_null(measure, features, np.broadcast_to(prior, maps.shape))
    mean_map = _prior_null(measure, features, elsewhere)
    better = np.maximum if measure.more_is_alike else np.minimum
    exists = np.logical_and(*both(mean_map[1], pairs)) & any_other[:, None]
    return {
        "observed": (np.stack([_compare(measure, features, a, b) for a, b in pairs], axis=1), observed),
        "other": (
            np.stack([values for values, _ in columns], axis=1),
            observed & np.stack([valid for _, valid in columns], axis=1),
        ),
        "centre": (better(*both(centre[0], pairs)), observed),
        "mean_map": (better(*both(mean_map[0], pairs)), observed & exists),
    }


def _compare(measure: Measure, features: Features, first: int, second: int) -> np.ndarray:
    return measure.compare(select(features, np.s_[:, first]), select(features, np.s_[:, second]))


def _other(measure: Measure, a: Features, b: Features, others: Others) -> tuple[np.ndarray, np.ndarray]:
    """The null of other images for one pair of models."""
    if measure.cross is None:
        return others.sample(lambda i, j: measure.compare(select(a, i), select(b, j)), a[-1], b[-1])
    cross = measure.cross
    return others.all_pairs(lambda rows: cross(select(a, rows), b), a[-1], b[-1])


def _prior_null(measure: Measure, features: Features, prior: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The figure of each model's map with a map that knows nothing of the image, or its negative; where it exists."""
    null = measure.features(prior)
    found = measure.compare(features, null)
    if measure.signed:
        found = np.maximum(found, measure.compare(features, measure.features(-prior)))
    return found, null[-1]


def _mean_elsewhere(maps: np.ndarray, groups: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Each model's mean map over images of other groups, (n, M, h, w) float32, and (n,) bool: whether there are any."""
    codes, count = np.unique(groups, return_inverse=True)[1], len(np.unique(groups))
    flat = maps.reshape(len(maps), -1)
    rest = len(maps) - np.bincount(codes)[codes]
    means = (flat.sum(axis=0, dtype=np.float64) - group_sums(flat, codes, count)[codes]) / np.maximum(rest, 1)[:, None]
    return means.reshape(maps.shape).astype(np.float32), rest > 0
