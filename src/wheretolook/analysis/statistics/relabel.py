"""Labels permuted as the design allows: images of one patient are not exchangeable with another's.

Within a group that holds several classes the labels of its images are permuted; groups that hold one class only
exchange their labels as wholes. Without groups each image is a group by itself: the ordinary permutation.
"""

from dataclasses import dataclass
from math import lgamma

import numpy as np

from wheretolook.analysis.statistics.enough import FEWEST_RELABELLINGS


@dataclass(frozen=True)
class Design:
    """What may be exchanged for what.

    Attributes:
        labels: (n,) int64, class of each image.
        whole: (n,) int64, number of the one-class group of each image, -1 in a group of several classes.
        whole_labels: (g,) int64, class of each one-class group.
        mixed: (m,) int64, images of groups with several classes, group by group.
        mixed_groups: (m,) int64, group of each of those.
    """

    labels: np.ndarray
    whole: np.ndarray
    whole_labels: np.ndarray
    mixed: np.ndarray
    mixed_groups: np.ndarray

    def relabel(self, count: int, generator: np.random.Generator) -> np.ndarray:
        """Random relabellings: (count, n) int64."""
        out = np.empty((count, len(self.labels)), dtype=np.int64)
        if len(self.whole_labels):
            exchanged = generator.permuted(np.tile(self.whole_labels, (count, 1)), axis=1)
            images = np.flatnonzero(self.whole >= 0)
            out[:, images] = exchanged[:, self.whole[images]]
        if len(self.mixed):
            # Groups stay in their order, images of one group come in a random one.
            order = np.argsort(self.mixed_groups + generator.random((count, len(self.mixed))), axis=1)
            out[:, self.mixed] = self.labels[self.mixed][order]
        return out

    def log_relabellings(self) -> float:
        """Natural logarithm of how many different relabellings there are."""
        parts = [self.whole_labels, *(self.labels[self.mixed[self.mixed_groups == g]] for g in set(self.mixed_groups))]
        return sum(_log_arrangements(part) for part in parts)

    def allows_a_p_value(self) -> bool:
        """Whether there are relabellings enough for a p-value to mean something."""
        return self.log_relabellings() >= np.log(FEWEST_RELABELLINGS)


def design_of(labels: np.ndarray, groups: np.ndarray) -> Design:
    """The design of labels (n,) and groups (n,)."""
    codes = np.unique(groups, return_inverse=True)[1]
    count = codes.max(initial=-1) + 1
    lowest, highest = np.full(count, labels.max(initial=0)), np.zeros(count, dtype=np.int64)
    np.minimum.at(lowest, codes, labels)
    np.maximum.at(highest, codes, labels)
    pure = lowest == highest
    number = np.where(pure, np.cumsum(pure) - 1, -1)
    mixed = np.flatnonzero(~pure[codes])
    mixed = mixed[np.argsort(codes[mixed], kind="stable")]
    return Design(np.asarray(labels, np.int64), number[codes], lowest[pure], mixed, codes[mixed])


def _log_arrangements(labels: np.ndarray) -> float:
    """Logarithm of the number of different orders of a list of labels."""
    return lgamma(len(labels) + 1) - sum(lgamma(count + 1) for count in np.bincount(labels))
