"""Correlation of the maps of every image and pair of models, with its baselines."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from wheretolook.analysis.explained import Target
from wheretolook.analysis.grid import (
    BLOCK_BYTES,
    RunningMoments,
    average_ranks,
    centre_prior,
    standardise,
    to_grid,
    whole_group_blocks,
)
from wheretolook.analysis.statistics.classification import group_sums

Pair = tuple[int, int]


@dataclass(frozen=True)
class Counted:
    """Values that may be undefined for some images: (n, P) float64, and (n, P) bool, which of them count."""

    values: np.ndarray
    valid: np.ndarray

    def of_pairs(self, which: slice | np.ndarray) -> "Counted":
        """The same for some of the pairs."""
        return Counted(self.values[:, which], self.valid[:, which])


@dataclass(frozen=True)
class PairedFigure:
    """One figure for n images and P pairs of models.

    Attributes:
        name: "pearson", "spearman", "iou", "ssim" or "distance".
        observed: of the two maps of one image.
        nulls: the same figure under each null, by its name.
        classes: (n,) int64, class of each image.
        more_is_alike: False for a distance, whose excess is the null less the figure.
        bounds: what the figure can be at all.
    """

    name: str
    observed: Counted
    nulls: dict[str, Counted]
    classes: np.ndarray
    more_is_alike: bool = True
    bounds: tuple[float, float] = (-1.0, 1.0)

    def of_pairs(self, which: slice | np.ndarray) -> "PairedFigure":
        """The same for some of the pairs."""
        return replace(
            self, observed=self.observed.of_pairs(which), nulls={k: v.of_pairs(which) for k, v in self.nulls.items()}
        )

    def excess(self, null: str, members: np.ndarray) -> Counted:
        """Figure less null, image by image, for some images: positive where the maps are more alike than the null.

        The mean is over `members`, (n, P) bool. With other images the values carry what an image does to that mean, so
        that their spread is that of the mean: an image is compared with others, and others with it.
        """
        sign = 1.0 if self.more_is_alike else -1.0
        other = self.nulls[null]
        valid = self.observed.valid & other.valid
        nulls = other.values + (self._as_partner(other, valid & members) if null == "other" else 0.0)
        return Counted(sign * (self.observed.values - nulls), valid)

    def _as_partner(self, other: Counted, members: np.ndarray) -> np.ndarray:
        """What each image adds to the null of other images as their partner (Hoeffding's projection), mean 0: (n, P).

        The mean over pairs of images has twice the spread of the images' own means. An image is a partner to all
        images of its class, those that are no members among them, so that it counts by the members' share.
        """
        added = np.zeros_like(other.values)
        for k in np.unique(self.classes[members.any(axis=1)]):
            of_class = (self.classes == k)[:, None]
            own = members & of_class
            count = own.sum(axis=0)
            mean = np.where(own, other.values, 0).sum(axis=0) / np.maximum(count, 1)
            share = count / np.maximum((other.valid & of_class).sum(axis=0), 1)
            added += np.where(own, share * (other.values - mean), 0)
        return added


def both(of_model: np.ndarray, pairs: list[Pair]) -> tuple[np.ndarray, np.ndarray]:
    """A figure of each model (n, M) for the first and the second model of each pair: (n, P) each."""
    first, second = np.array(pairs).T
    return of_model[:, first], of_model[:, second]


Reader = Callable[[np.ndarray], np.ndarray]  # positions (b,) to maps (b, M, c) float32


@dataclass(frozen=True)
class Images:
    """The images that are compared: `classes` (n,) int64 and `groups` (n,) int64, in the order of the positions."""

    classes: np.ndarray
    groups: np.ndarray


def correlated(
    read: Reader, images: Images, grid: tuple[int, int], models: int, pairs: list[Pair], ranked: bool
) -> PairedFigure:
    """Pearson's (or, ranked, Spearman's) r of each image's maps for each pair of models.

    Nulls: `other`, the mean r with all images of the same class from other groups, both ways round; `centre`, the
    larger |r| of the two models with a Gaussian, where there are cells enough for one; `mean_map`, the larger |r| with
    the model's own mean map over the images of the same class from other groups.

    Args:
        read: maps of the given positions on one grid.
        images: class and group of each of n positions.
        grid: (h, w), c = h * w.
        models: M, models that `read` gives.
        pairs: P pairs of models, as numbers below M.
        ranked: Spearman's r instead of Pearson's.
    """
    count, cells = len(images.classes), grid[0] * grid[1]
    size = max(16, BLOCK_BYTES // (4 * models * cells))
    prepare = average_ranks if ranked else np.asarray
    (prior,), (prior_varies,) = standardise(prepare(centre_prior(grid).reshape(1, -1)))
    first, second = np.array(pairs).T
    found = {key: np.zeros((count, len(pairs))) for key in ("observed", "other")}
    found |= {key: np.zeros((count, models)) for key in ("centre", "mean_map")}
    valid = {key: np.zeros((count, models), dtype=bool) for key in ("observed", "other", "mean_map")}
    for k in np.unique(images.classes):
        positions = np.flatnonzero(images.classes == k)
        totals = _totals(read, positions, size, prepare)
        for block in whole_group_blocks(images.groups[positions], size):
            at = positions[block]
            maps = read(at)
            z, varies = standardise(prepare(maps))
            rest, others = _elsewhere(totals, maps, z, varies, images.groups[at])
            cross = z @ others["z"].transpose(0, 2, 1)
            found["observed"][at] = (z @ z.transpose(0, 2, 1))[:, first, second]
            found["other"][at] = (cross[:, first, second] + cross[:, second, first]) / 2
            found["centre"][at] = np.abs(z @ prior)
            mean_map, mean_varies = standardise(prepare(others["maps"]))
            found["mean_map"][at] = np.abs(np.einsum("nmc,nmc->nm", z, mean_map))
            valid["observed"][at], valid["other"][at] = varies, rest > 0
            valid["mean_map"][at] = mean_varies & (rest > 0)
    observed = np.logical_and(*both(valid["observed"], pairs))
    return PairedFigure(
        "spearman" if ranked else "pearson",
        Counted(found["observed"], observed),
        {
            "other": Counted(found["other"], observed & np.logical_and(*both(valid["other"], pairs))),
            "centre": Counted(np.maximum(*both(found["centre"], pairs)), observed & prior_varies),
            "mean_map": Counted(
                np.maximum(*both(found["mean_map"], pairs)), observed & np.logical_and(*both(valid["mean_map"], pairs))
            ),
        },
        images.classes,
    )


def _totals(read: Reader, positions: np.ndarray, size: int, prepare: Callable) -> dict[str, np.ndarray]:
    """Sums over all images of a class: of the maps, of the standardised maps, and how many vary."""
    totals: dict[str, np.ndarray] = {}
    for start in range(0, len(positions), size):
        maps = read(positions[start : start + size])
        z, varies = standardise(prepare(maps))
        parts = {
            "maps": maps.sum(axis=0, dtype=np.float64),
            "z": z.sum(axis=0, dtype=np.float64),
            "count": varies.sum(0),
        }
        totals = {key: totals[key] + part if totals else part for key, part in parts.items()}
    return totals


def _elsewhere(
    totals: dict[str, np.ndarray], maps: np.ndarray, z: np.ndarray, varies: np.ndarray, groups: np.ndarray
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """For each image of a block of whole groups: how many maps of other groups vary (b, M); their means (b, M, c)."""
    codes, count = np.unique(groups, return_inverse=True)[1], len(np.unique(groups))
    shape = (-1, *maps.shape[1:])

    def own(values: np.ndarray) -> np.ndarray:
        return group_sums(values.reshape(len(values), -1), codes, count)[codes]

    rest = totals["count"] - own(varies)
    share = 1 / np.maximum(rest, 1)[:, :, None]
    means = {
        key: ((totals[key] - own(values).reshape(shape)) * share).astype(np.float32)
        for key, values in (("maps", maps), ("z", z))
    }
    return rest, means


def reader(targets: list[Target], rows: np.ndarray, grid: tuple[int, int]) -> Reader:
    """Maps of several models on one grid: positions (b,) in `rows` to (b, M, h * w) float32."""

    def read(positions: np.ndarray) -> np.ndarray:
        maps = [to_grid(target.true_class(rows[positions]), grid) for target in targets]
        return np.stack(maps, axis=1).reshape(len(positions), len(targets), -1)

    return read


def standardised(read: Reader, count: int, models: int) -> Reader:
    """A reader whose maps have mean 0 and standard deviation 1 by model, over `count` images and all cells."""
    moments = RunningMoments((models,))
    for block in np.array_split(np.arange(count), max(1, count // 256)):
        moments.add(read(block).transpose(0, 2, 1).reshape(-1, models))
    mean, spread = moments.mean()[:, None], moments.spread()[:, None]
    return lambda positions: (read(positions) - mean) / np.where(spread > 0, spread, 1)
