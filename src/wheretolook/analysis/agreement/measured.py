"""Other figures of agreement (IoU, SSIM, distance) for every image and pair of models, with their baselines."""

from collections.abc import Callable
from functools import lru_cache, partial

import numpy as np

from wheretolook.analysis.agreement.agreement_baselines import OtherImages, partners
from wheretolook.analysis.agreement.correlated import Counted, Images, Pair, PairedFigure, Reader, both
from wheretolook.analysis.agreement.measures import Features, Measure, select
from wheretolook.analysis.grid import centre_prior, whole_group_blocks
from wheretolook.analysis.statistics.classification import group_sums

# Maps are read again for each block of partners, so blocks are large: most classes are one.
MEMORY = 256 * 2**20
EVERY_PAIR_UP_TO = 5000  # images of a class; of more, the null of other images is over a few others for each
COPIES = 6  # of a block's maps, with their features and those of the nulls

Values = tuple[np.ndarray, np.ndarray]  # figures, and which of them count


def measured(
    measure: Measure, read: Reader, images: Images, grid: tuple[int, int], models: int, pairs: list[Pair]
) -> PairedFigure:
    """One figure for n images and P pairs; nulls as in `correlated`.

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
    size = max(16, MEMORY // (4 * COPIES * models * grid[0] * grid[1]))
    for k in np.unique(images.classes):
        at = np.flatnonzero(images.classes == k)
        maps_at = _maps_at(read, at, (models, *grid))
        for name, (found, counts) in _of_class(measure, maps_at, images.groups[at], size, grid, pairs).items():
            values[name][at], valid[name][at] = found, counts
    counted = {name: Counted(values[name], valid[name]) for name in names}
    observed = counted.pop("observed")
    return PairedFigure(measure.name, observed, counted, images.classes, measure.more_is_alike, measure.bounds)


def _maps_at(read: Reader, at: np.ndarray, shape: tuple[int, int, int]) -> Reader:
    """Maps of images of a class, by their places in the class: (b,) to (b, M, h, w) float32."""
    return lambda places: read(at[places]).reshape(len(places), *shape)


def _of_class(
    measure: Measure, maps_at: Reader, groups: np.ndarray, size: int, grid: tuple[int, int], pairs: list[Pair]
) -> dict[str, Values]:
    """Values and what counts, (n, P) each, of the figure and its nulls, for the n images of one class."""
    blocks = list(whole_group_blocks(groups, size))
    maps_of = lru_cache(maxsize=1)(lambda number: maps_at(blocks[number]))
    features_of = lru_cache(maxsize=2)(lambda number: measure.features(maps_of(number)))  # a block and its partner
    total = sum(maps_of(number).sum(axis=0, dtype=np.float64) for number in range(len(blocks)))
    shape = (len(groups), len(pairs))
    own = {name: (np.zeros(shape), np.zeros(shape, dtype=bool)) for name in ("observed", "centre", "mean_map")}
    for number, block in enumerate(blocks):
        elsewhere, any_other = _mean_elsewhere(total, len(groups), maps_of(number), groups[block])
        found = _own_figures(measure, features_of(number), elsewhere, any_other, grid, pairs)
        for name, (values, valid) in found.items():
            own[name][0][block], own[name][1][block] = values, valid
    if measure.cross is None or len(groups) > EVERY_PAIR_UP_TO:
        place = np.argsort(np.concatenate(blocks))

        def features_at(places: np.ndarray) -> Features:
            alone = len(blocks) == 1  # then they are all there
            return select(features_of(0), place[places]) if alone else measure.features(maps_at(places))

        other = _sampled(measure, features_of, features_at, blocks, groups, pairs)
    else:
        other = _all_pairs(measure.cross, features_of, blocks, groups, pairs)
    return own | {"other": (other[0], own["observed"][1] & other[1])}


def _own_figures(
    measure: Measure,
    features: Features,
    elsewhere: np.ndarray,
    any_other: np.ndarray,
    grid: tuple[int, int],
    pairs: list[Pair],
) -> dict[str, Values]:
    """The figure, and its nulls of one image alone, (b, P) each: features (b, M, ...), mean maps (b, M, h, w)."""
    observed = np.logical_and(*both(features[-1], pairs))
    prior = centre_prior(grid)
    # In a grid of 2 x 2, no cell is nearer to the centre than another, so a centre prior is no baseline.
    prior = (prior - prior.mean()) / (prior.std() if np.ptp(prior) else 1)
    centre, mean_map = (_prior_null(measure, features, null) for null in (prior[None, None], elsewhere))
    better = np.maximum if measure.more_is_alike else np.minimum
    exists = np.logical_and(*both(mean_map[1], pairs)) & any_other[:, None]
    return {
        "observed": (of_pairs(measure.models(features, features), pairs), observed),
        "centre": (better(*both(centre[0], pairs)), observed & np.logical_and(*both(centre[1], pairs))),
        "mean_map": (better(*both(mean_map[0], pairs)), observed & exists),
    }


def _all_pairs(
    cross: Callable[[Features, Features], np.ndarray],
    features_of: Callable[[int], Features],
    blocks: list[np.ndarray],
    groups: np.ndarray,
    pairs: list[Pair],
) -> Values:
    """The null of other images over all of them, (n, P): each block with each."""
    means = [OtherImages(groups) for _ in pairs]
    for i, block in enumerate(blocks):
        for j, partner in enumerate(blocks):
            ours, theirs = features_of(i), features_of(j)
            for mean, (first, second) in zip(means, pairs, strict=True):
                a, b = select(ours, np.s_[:, first]), select(theirs, np.s_[:, second])
                mean.add(block, partner, partial(_crossed, cross, a, b), a[-1], b[-1])
    values, valid = zip(*(mean.mean() for mean in means), strict=True)
    return np.stack(values, axis=1), np.stack(valid, axis=1)


def _crossed(cross: Callable[[Features, Features], np.ndarray], a: Features, b: Features, rows: slice) -> np.ndarray:
    return cross(select(a, rows), b)


def _sampled(
    measure: Measure,
    features_of: Callable[[int], Features],
    features_at: Callable[[np.ndarray], Features],
    blocks: list[np.ndarray],
    groups: np.ndarray,
    pairs: list[Pair],
) -> Values:
    """The same over a few other images each, (n, P)."""
    sums, counts = np.zeros((2, len(groups), len(pairs)))
    for number, block in enumerate(blocks):
        ours = features_of(number)
        for partner in partners(groups):
            theirs = features_at(partner[block])
            other = groups[block] != groups[partner[block]]
            valid = other[:, None, None] & ours[-1][:, :, None] & theirs[-1][:, None]
            values = np.where(valid, measure.models(ours, theirs), 0)
            for ways in (pairs, [(b, a) for a, b in pairs]):
                sums[block] += of_pairs(values, ways)
                counts[block] += of_pairs(valid, ways)
    return sums / np.maximum(counts, 1), counts > 0


def of_pairs(of_models: np.ndarray, pairs: list[Pair]) -> np.ndarray:
    """Some pairs of models, (n, P), of figures of all of them, (n, M, M)."""
    first, second = np.array(pairs).T
    return of_models[:, first, second]


def _prior_null(measure: Measure, features: Features, prior: np.ndarray) -> Values:
    """The figure of each model's map with a map that does not depend on the image, or its negative; where it exists."""
    null = measure.features(prior)
    found = measure.compare(features, null)
    if measure.signed:
        found = np.maximum(found, measure.compare(features, measure.features(-prior)))
    return found, np.broadcast_to(null[-1], found.shape)


def _mean_elsewhere(total: np.ndarray, count: int, maps: np.ndarray, groups: np.ndarray) -> Values:
    """Each model's mean map over images of other groups, (b, M, h, w) float32, and (b,) bool: whether there are any.

    Args:
        total: (M, h, w) float64, sum of all the class's maps.
        count: of all the class's images.
        maps: (b, M, h, w) of a block of whole groups.
        groups: (b,) of the same images.
    """
    codes = np.unique(groups, return_inverse=True)[1]
    sizes = np.bincount(codes)
    own = group_sums(maps.reshape(len(maps), -1), codes, len(sizes))
    rest = count - sizes[codes]
    means = (total.ravel() - own[codes]) / np.maximum(rest, 1)[:, None]
    return means.reshape(maps.shape).astype(np.float32), rest > 0
