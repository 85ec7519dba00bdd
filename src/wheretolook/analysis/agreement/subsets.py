"""Images of a pair of models by what the two made of them: agreement when right is another thing than when wrong."""

from collections.abc import Iterator

import numpy as np

ALL_CLASSES = "/"  # no class is called that, since no folder can be


def subset_members(right: np.ndarray, pairs: list[tuple[int, int]]) -> dict[str, np.ndarray]:
    """Which images belong to each subset of each pair.

    Args:
        right: (n, M) bool, whether each model classified each image right.
        pairs: P pairs of models.

    Returns:
        Subset to (n, P) bool.
    """
    first, second = np.array(pairs).T
    a, b = right[:, first], right[:, second]
    return {"all": np.ones_like(a), "both_right": a & b, "one_wrong": a ^ b, "both_wrong": ~a & ~b}


def class_members(classes: np.ndarray, class_names: tuple[str, ...]) -> Iterator[tuple[str, np.ndarray]]:
    """Each class's name with its images, (n,) bool, then all images under the name `ALL_CLASSES`."""
    for k, name in enumerate(class_names):
        yield name, classes == k
    yield ALL_CLASSES, np.ones(len(classes), dtype=bool)
