"""Mean and spread of many arrays over each other, in one pass and without holding them."""

import numpy as np


class RunningMoments:
    """Running mean and standard deviation of blocks of arrays (Chan, Golub and LeVeque 1979), in float64.

    Args:
        shape: of one array.
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.count = 0
        self._mean = np.zeros(shape)
        self._squares = np.zeros(shape)

    def add(self, block: np.ndarray) -> None:
        """Take in a block: (n, *shape), any numeric dtype, n may be 0."""
        if not len(block):
            return
        total = self.count + len(block)
        mean = block.mean(axis=0, dtype=np.float64)
        delta = mean - self._mean
        centred = block - mean
        self._squares += np.einsum("n...,n...->...", centred, centred) + delta**2 * (self.count * len(block) / total)
        self._mean += delta * (len(block) / total)
        self.count = total

    def mean(self) -> np.ndarray:
        """Mean so far, float32.

        Raises:
            ValueError: nothing was added.
        """
        if not self.count:
            raise ValueError("the mean of no arrays is undefined")
        return self._mean.astype(np.float32)

    def spread(self) -> np.ndarray:
        """Standard deviation (n - 1) so far, float32.

        Raises:
            ValueError: fewer than two arrays were added.
        """
        if self.count < 2:
            raise ValueError(f"the spread of {self.count} arrays is undefined")
        return np.sqrt(self._squares / (self.count - 1)).astype(np.float32)
