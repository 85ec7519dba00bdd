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
        more_is_alike: False for a distance, whose excess is the null less the figure.
        bounds: what the figure can be at all.
    """

    name: str
    observed: Counted
    nulls: dict[str, Counted]
    more_is_alike: bool = True
    bounds: tuple[float, float] = (-1.0, 1.0)

    def excess(self, null: str) -> Counted:
        """Figure less null, image by image: positive where the two maps are more alike than the null."""
        sign = 1.0 if self.more_is_alike else -1.0
        other = self.nulls[null]
        return Counted(sign * (self.observed.values - other.values), self.observed.valid & other.valid)


def both(of_model: np.ndarray, pairs: list[Pair]) -> tuple[np.ndarray, np.ndarray]:
    """A figure of each model (n, M) for the first and the second model of each pair: (n, P) each."""
    first, second = np.array(pairs).T
    return of_model[:, first], of_model[:, second]
