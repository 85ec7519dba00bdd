"""Which images a training step sees."""

import numpy as np


def steps_per_epoch(images: int, batch_size: int) -> int:
    """How many batches hold all images."""
    return -(-images // batch_size)


def epoch_batches(rows: np.ndarray, batch_size: int, seed: int, epoch: int) -> list[np.ndarray]:
    """All images in a random order, in batches whose sizes differ by one at most: none is left out, none is tiny.

    Args:
        rows: (n,) indices of the training images.
        batch_size: the most images in a batch.
        seed: of the training.
        epoch: from 0; each has its own order.

    Returns:
        Batches of indices, (m,) each, m <= batch_size.
    """
    order = np.random.default_rng(mixed_seed(seed, epoch)).permutation(rows)
    return np.array_split(order, steps_per_epoch(len(rows), batch_size))


def mixed_seed(*numbers: int) -> int:
    """One seed out of several numbers, such as a run's seed, the step and the process: 32 well-mixed bits."""
    return int(np.random.SeedSequence(numbers).generate_state(1)[0])
