"""One figure of agreement for every image and pair of models, with its nulls beside it."""

from dataclasses import dataclass

import numpy as np

Pair = tuple[int, int]


@dataclass(frozen=True)
class Counted:
    """Values that may be undefined for some images: (n, P) float64, and (n, P) bool, which of them count."""

    values: np.ndarray
    valid: np.ndarray


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

    def excess(self, null: str, members: np.ndarray) -> Counted:
        """Figure less null, image by image, for some images: positive where the maps are more alike than the null.

        The mean is over `members`, (n, P) bool. With other images the values carry what an image does to that mean, so
        that their spread is that of the mean: an image is held against others, and others against it.
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
