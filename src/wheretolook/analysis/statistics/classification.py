"""Classification scores by group: recall, balanced accuracy, calibration, log loss; effective number of groups."""

from typing import Any

import numpy as np

from wheretolook.analysis.results.schema import FEWEST_GROUPS

LEVEL = 0.95  # of every interval
NORMAL = 1.959963984540054  # its quantile of the normal distribution


def effective_number(sizes: np.ndarray) -> np.ndarray:
    """Effective number of groups of unequal sizes (Kish 1965): the square of the sum over the sum of squares.

    One patient with 60 of 88 images leaves 2.1 groups of 29.

    Args:
        sizes: (G, F) images of each group, or (G,).

    Returns:
        (F,) float64, or a number; G where all sizes are equal, 0 without images.
    """
    sizes = np.asarray(sizes, dtype=np.float64)
    squares = (sizes**2).sum(axis=0)
    return sizes.sum(axis=0) ** 2 / np.where(squares > 0, squares, 1)


def wilson_interval(share: float, trials: float) -> tuple[float, float]:
    """Wilson's score interval of a share, 95 % (Wilson 1927): never empty, also for 0 and 1.

    Args:
        share: 0 to 1. Of other figures from 0 to 1 the interval is too wide, as a share spreads most for its mean.
        trials: their number, or an effective number.
    """
    z2 = NORMAL**2
    centre = (share + z2 / (2 * trials)) / (1 + z2 / trials)
    half = NORMAL / (1 + z2 / trials) * np.sqrt(share * (1 - share) / trials + z2 / (4 * trials**2))
    return max(0.0, float(centre - half)), min(1.0, float(centre + half))


def group_sums(values: np.ndarray, codes: np.ndarray, count: int) -> np.ndarray:
    """Sum of the rows of each group: (n, F) and group codes 0..count-1 (n,) to (count, F) float64."""
    if count == len(codes):  # no groups: each image is its own
        sums = np.empty(values.shape)
        sums[codes] = values
        return sums
    sums = np.zeros((count, values.shape[1]))
    np.add.at(sums, codes, values)
    return sums


def effective_groups(labels: np.ndarray, groups: np.ndarray) -> dict[int, float]:
    """Effective number of groups of each class that has images, by class: labels (n,) and groups (n,)."""
    classes, codes = np.unique(labels), np.unique(groups, return_inverse=True)[1]
    sizes = [np.bincount(codes[labels == k]) for k in classes]
    return {int(k): float(effective_number(each)) for k, each in zip(classes, sizes, strict=True)}


def scarce_classes(labels: np.ndarray, groups: np.ndarray) -> dict[int, int]:
    """Classes with an effective number of groups below ten, which leave every balanced accuracy without an interval.

    Args:
        labels: (n,) int64.
        groups: (n,) integers.

    Returns:
        That number, rounded down, by class.
    """
    return {k: int(number) for k, number in effective_groups(labels, groups).items() if number < FEWEST_GROUPS}


def recall_interval(right: np.ndarray, groups: np.ndarray) -> tuple[float, float, float]:
    """Recall of one class with Wilson's interval; the trials are images over the design effect of their groups.

    The lower end is never above that of a class without an error, whose groups count as trials: a design effect that
    is estimated from a handful of errors must not make a worse network look surer.

    Args:
        right: (m,) bool, whether each of the class's images was classified right, m >= 1.
        groups: (m,) group of each.

    Returns:
        Recall, and both ends.
    """
    recall, count = float(right.mean()), len(right)
    codes = np.unique(groups, return_inverse=True)[1]
    sizes = np.bincount(codes)
    whole = float(effective_number(sizes))
    trials = float(count)
    if len(sizes) < count:
        residuals = np.bincount(codes, weights=right - recall)
        simple = count * recall * (1 - recall)
        design = float((residuals**2).sum() / simple) if simple > 0 else np.inf
        trials = min(count / design, count) if np.isfinite(design) and design > 0 else whole
        trials = max(trials, min(whole, count))
    low, high = wilson_interval(recall, trials)
    return recall, min(low, wilson_interval(1.0, whole)[0]), max(high, 1 - wilson_interval(1.0, whole)[0])


def balanced_accuracy_interval(right: np.ndarray, labels: np.ndarray, groups: np.ndarray) -> tuple[float, float] | None:
    """95 % interval of the mean recall of the classes that are there.

    The limits of the recalls are combined by their distances from the recalls (MOVER: Zou and Donner 2008), with the
    correlation that groups with images of several classes bring in (Zou 2007).

    Args:
        right: (n,) bool, whether each image was classified right.
        labels: (n,) int64.
        groups: (n,) integers.

    Returns:
        (low, high), or None where a class's effective number of groups is below ten.
    """
    if not len(labels) or scarce_classes(labels, groups):
        return None
    classes = np.unique(labels)
    found = np.array([recall_interval(right[labels == k], groups[labels == k]) for k in classes])
    recalls, below, above = found[:, 0], found[:, 0] - found[:, 1], found[:, 2] - found[:, 0]
    together = _correlation(right, labels, groups, classes, recalls)
    mean = recalls.mean()
    low, high = (np.sqrt(max(ends @ together @ ends, 0)) / len(classes) for ends in (below, above))
    return float(max(mean - low, 0)), float(min(mean + high, 1))


Estimate = tuple[float, float, float]  # a figure, and both ends of its interval


def difference_interval(first: Estimate, second: Estimate) -> Estimate:
    """First minus second of two independent figures, with its 95 % interval (MOVER: Zou and Donner 2008)."""
    (a, a_low, a_high), (b, b_low, b_high) = first, second
    low = a - b - np.hypot(a - a_low, b_high - b)
    return a - b, float(low), float(a - b + np.hypot(a_high - a, b - b_low))


def _correlation(
    right: np.ndarray, labels: np.ndarray, groups: np.ndarray, classes: np.ndarray, recalls: np.ndarray
) -> np.ndarray:
    """Correlation of the classes' recalls over groups, (K, K); the identity where no group has two classes."""
    codes, count = np.unique(groups, return_inverse=True)[1], len(np.unique(groups))
    member = labels[:, None] == classes
    sums = group_sums(np.where(member, right[:, None] - recalls, 0.0), codes, count)
    products = sums.T @ sums
    spread = np.sqrt(np.diag(products))
    there = np.outer(spread, spread) > 0
    found = np.where(there, products / np.where(there, np.outer(spread, spread), 1), 0)
    np.fill_diagonal(found, 1)
    return found


DRAWS = 200  # of labels that follow the scores
BINS = 15  # of equal width over 0..1, each closed on the right


def expected_calibration_error(scores: np.ndarray, labels: np.ndarray) -> float:
    """Expected calibration error of the winning class (Guo et al. 2017, arXiv:1706.04599, eq. 3).

    Args:
        scores: (n, K) float64, rows sum to 1.
        labels: (n,) int64.

    Returns:
        Mean over images of |accuracy - mean score| of the bin, 0..1.
    """
    winning = scores.max(axis=1)
    right = scores.argmax(axis=1) == labels
    inside = np.clip(np.ceil(winning * BINS).astype(int) - 1, 0, BINS - 1)
    gaps = np.bincount(inside, weights=right - winning, minlength=BINS)
    return float(np.abs(gaps).sum() / len(labels))


def calibration_floor(scores: np.ndarray) -> tuple[float, float]:
    """Expected calibration error of a perfectly calibrated model with these scores, on as many images: mean, and most.

    The error is never negative, so that chance alone makes it larger than 0. Labels are drawn from the scores.

    Args:
        scores: (n, K) float64, rows sum to 1.

    Returns:
        Mean over 200 draws, 0..1; and the value that 97.5 % of the draws stay below.
    """
    winning = scores.max(axis=1)
    inside = np.clip(np.ceil(winning * BINS).astype(int) - 1, 0, BINS - 1)
    right = np.random.default_rng(0).random((DRAWS, len(winning))) < winning
    gaps = (right - winning) @ np.eye(BINS)[inside]
    errors = np.abs(gaps).sum(axis=1) / len(winning)
    return float(errors.mean()), float(np.quantile(errors, 0.975))


def softmax(logits: np.ndarray) -> np.ndarray:
    """Scores of logits (n, K), in float64; each row sums to 1."""
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    powers = np.exp(shifted)
    return powers / powers.sum(axis=1, keepdims=True)


def classification_scores(logits: np.ndarray, labels: np.ndarray, class_names: tuple[str, ...]) -> dict[str, Any]:
    """Figures of one split.

    Args:
        logits: (n, K) float32, n >= 1.
        labels: (n,) int64, true class index.
        class_names: K names, in class order.

    Returns:
        As `docs/results.md` lays out for `splits`, without the figures of the heads; undefined ones are None.
    """
    from sklearn.metrics import accuracy_score, confusion_matrix, log_loss

    every_class = np.arange(len(class_names))
    scores, predicted = softmax(logits), logits.argmax(axis=1)
    floor, floor_high = calibration_floor(scores)
    confusion = confusion_matrix(labels, predicted, labels=every_class)
    recalls = [_share(confusion[k, k], confusion[k].sum()) for k in every_class]
    return {
        "images": len(labels),
        "accuracy": float(accuracy_score(labels, predicted)),
        "balanced_accuracy": float(np.mean([recall for recall in recalls if recall is not None])),
        "auroc": area_under_roc(scores, labels),
        "ece": expected_calibration_error(scores, labels),
        "ece_floor": floor,
        "ece_floor_high": floor_high,
        "brier": brier_score(scores, labels),
        "log_loss": float(log_loss(labels, scores, labels=every_class)),
        "confusion": confusion.tolist(),
        "classes": {
            name: {
                "images": int(confusion[k].sum()),
                "recall": recalls[k],
                "precision": _share(confusion[k, k], confusion[:, k].sum()),
            }
            for k, name in enumerate(class_names)
        },
    }


def head_scores(logits: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Accuracy and log loss of one head: logits (n, K), labels (n,)."""
    from sklearn.metrics import accuracy_score, log_loss

    return {
        "accuracy": float(accuracy_score(labels, logits.argmax(axis=1))),
        "log_loss": float(log_loss(labels, softmax(logits), labels=np.arange(logits.shape[1]))),
    }


def area_under_roc(scores: np.ndarray, labels: np.ndarray) -> float | None:
    """AUROC of the second of two classes; of more, the mean of one against the rest. None where a class is missing."""
    from sklearn.metrics import roc_auc_score

    if len(np.unique(labels)) < scores.shape[1]:
        return None
    if scores.shape[1] == 2:
        return float(roc_auc_score(labels, scores[:, 1]))
    return float(roc_auc_score(labels, scores, multi_class="ovr", average="macro"))


def brier_score(scores: np.ndarray, labels: np.ndarray) -> float:
    """Half the squared distance of scores and truth, mean over images: 0 (sure and right) to 1 (sure and wrong)."""
    from sklearn.metrics import brier_score_loss

    return float(brier_score_loss(labels, scores, labels=np.arange(scores.shape[1]), scale_by_half=True))


def _share(part: int, whole: int) -> float | None:
    return float(part / whole) if whole else None


def split_scores(
    logits: np.ndarray,
    heads: list[str],
    labels: np.ndarray,
    class_names: tuple[str, ...],
    groups: np.ndarray,
) -> dict[str, Any]:
    """Scores of one split, as `docs/results.md` lays out.

    Args:
        logits: (n, H, K) float32 of every trained head, first to last; the last is the model's own.
        heads: H layer names.
        labels: (n,) int64, n >= 1.
        class_names: K names.
        groups: (n,) group of each image.
    """
    last = logits[:, -1]
    interval = balanced_accuracy_interval(last.argmax(axis=1) == labels, labels, groups)
    low, high = interval or (None, None)
    return classification_scores(last, labels, class_names) | {
        "balanced_accuracy_low": low,
        "balanced_accuracy_high": high,
        "heads": {layer: head_scores(logits[:, i], labels) for i, layer in enumerate(heads)},
    }
