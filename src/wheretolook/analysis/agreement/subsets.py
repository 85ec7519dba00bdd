"""Images of a pair of models by what the two made of them: agreement when right is another thing than when wrong."""

from collections.abc import Collection, Iterator

import numpy as np

# The second stands in where a class is called as the first: no class, and no folder, has a slash in its name.
ALL_CLASSES = ("*", "*/")


def all_classes(class_names: Collection[str]) -> str:
    """What stands for all classes in a table's column of class names: `*`, or `*/` where a class is called `*`."""
    return ALL_CLASSES["*" in class_names]


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
    """Each class's name with its images, (n,) bool, then all images under the name of `all_classes`."""
    for k, name in enumerate(class_names):
        yield name, classes == k
    yield all_classes(class_names), np.ones(len(classes), dtype=bool)
