"""Faithfulness by class: scores after the pixels that a map marks first are removed."""

from typing import Any

import numpy as np

from wheretolook.analysis.grid import centre_prior, enlarge
from wheretolook.analysis.probing.imputation import LinearImputer
from wheretolook.analysis.results.schema import FEWEST_IMAGES
from wheretolook.analysis.statistics.bootstrap import mean_intervals
from wheretolook.analysis.statistics.classification import softmax
from wheretolook.base.prepared import EVIDENCE

KINDS = ("cam", "random", "other", "centre", "evidence")
GAPS = {"random": 1, "other": 1, "centre": 1, "evidence": -1}  # less the CAM's, or the CAM's less it: expected above 0
KEPT = 0.5  # a class whose filled image keeps more of its score than this has nothing that could be taken out


def log_odds(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Logarithm of the odds of each image's class against all others together: (n, K) and (n,) to (n,) float64."""
    rows = np.arange(len(logits))
    rest = logits.astype(np.float64).copy()
    own = rest[rows, labels].copy()
    rest[rows, labels] = -np.inf
    top = rest.max(axis=1)
    return own - top - np.log(np.exp(rest - top[:, None]).sum(axis=1))


def class_faithfulness(
    logits: dict[str, np.ndarray], labels: np.ndarray, groups: np.ndarray, resamples: int, seed: int
) -> dict[str, Any]:
    """Figures of one class.

    Args:
        logits: (n, K) after removal by each of KINDS (those there are), of the `whole` image, and of the `filled` one.
        labels: (n,) int64, all the same class.
        groups: (n,) group of each image.
        resamples: of each interval.
        seed: of each interval.
    """
    scores = {kind: softmax(values)[np.arange(len(labels)), labels] for kind, values in logits.items()}
    odds = {kind: log_odds(values, labels) for kind, values in logits.items()}
    there = [kind for kind in KINDS if kind in logits]
    return {
        "images": len(labels),
        "undefined": bool(scores["filled"].mean() > KEPT * scores["whole"].mean()),
        **{
            kind: {"score": float(scores[kind].mean()), "log_odds": float(odds[kind].mean())}
            for kind in ("whole", "filled")
        },
        "removed": {
            kind: {"score": float(scores[kind].mean()), "log_odds": float(odds[kind].mean())} for kind in there
        },
        "gaps": {
            kind: {
                "score": _gap(sign * (scores[kind] - scores["cam"]), groups, resamples, seed),
                "log_odds": _gap(sign * (odds[kind] - odds["cam"]), groups, resamples, seed),
            }
            for kind, sign in GAPS.items()
            if kind in there
        },
    }


def _gap(values: np.ndarray, groups: np.ndarray, resamples: int, seed: int) -> dict[str, float | None]:
    """Mean of paired differences, with its interval where there are images and groups enough."""
    ends = (float(values.min()), float(values.max()))
    means = mean_intervals(values[:, None], np.ones((1, 1), bool), groups, resamples, seed, ends)
    enough = bool(means.bounded[0]) and len(values) >= FEWEST_IMAGES
    low, high = (float(end[0]) if enough else None for end in (means.low, means.high))
    return {"mean": float(means.mean[0]), "low": low, "high": high}


FRACTION = 0.1  # of the pixels
RIM = 2  # pixels


def pixel_ranks(scores: np.ndarray, seed: int) -> np.ndarray:
    """Place of each pixel when the highest goes first: (n, S, S) to (n, S, S) int64, from 0.

    Args:
        scores: (n, S, S).
        seed: decides between equal pixels, or those at the top left would go first.
    """
    count, pixels = len(scores), scores[0].size
    shuffled = np.random.default_rng(seed).permutation(pixels)
    order = np.argsort(-scores.reshape(count, pixels)[:, shuffled], axis=1, kind="stable")
    ranks = np.empty((count, pixels), dtype=np.int64)
    np.put_along_axis(ranks, shuffled[order], np.arange(pixels)[None], axis=1)
    return ranks.reshape(scores.shape)


def first_pixels(scores: np.ndarray, fraction: float, seed: int) -> np.ndarray:
    """The highest pixels of each map, equally many for all.

    Args:
        scores: (n, S, S).
        fraction: of the pixels, 0 to 1.
        seed: decides between equal pixels.

    Returns:
        (n, S, S) bool.
    """
    count, pixels = len(scores), scores[0].size
    most = round(fraction * pixels)
    if not most:
        return np.zeros(scores.shape, bool)
    shuffled = np.random.default_rng(seed).permutation(pixels)
    values = scores.reshape(count, pixels)[:, shuffled]
    # As `pixel_ranks` decides, without a whole sort: all above the last value that is taken, then the first equal ones.
    last = np.partition(values, pixels - most, axis=1)[:, pixels - most, None]
    above, equal = values > last, values == last
    left = most - above.sum(axis=1, keepdims=True)
    chosen = np.empty((count, pixels), bool)
    chosen[:, shuffled] = above | (equal & (equal.cumsum(axis=1) <= left))
    return chosen.reshape(scores.shape)


def evidence_pixels(inside: np.ndarray, fraction: float, seed: int) -> np.ndarray:
    """A region and its rim of RIM pixels, where evidence is blurred; never more than the given share of the pixels.

    What an ideal map would remove: fewer pixels than the other maps do.

    Args:
        inside: (n, S, S) bool.
        fraction: of the pixels, 0 to 1.
        seed: decides between equal pixels.

    Returns:
        (n, S, S) bool.
    """
    from scipy.ndimage import distance_transform_edt

    distance = np.stack([distance_transform_edt(~each) for each in inside])
    return first_pixels(-distance, fraction, seed) & (distance <= RIM)


# Kind of map to the images that it exists for, (m,) int64, and the pixels that it takes out of them, (m, S, S) bool.
Pixels = dict[str, tuple[np.ndarray, np.ndarray]]
Removal = tuple[str, int, np.ndarray]  # a kind of map, the number of an image, and (S, S) bool, the pixels


def choose_images(labels: np.ndarray, rows: np.ndarray, count: int, classes: int, seed: int) -> np.ndarray:
    """Equally many images of each class, `count` in all at most, drawn from `rows`; ascending.

    Of more classes than `count`, one image each of `count` classes, drawn too.
    """
    generator = np.random.default_rng(seed)
    chosen = [generator.permutation(rows[labels[rows] == k])[: max(1, count // classes)] for k in range(classes)]
    there = [own for own in chosen if len(own)]
    if len(there) > count:
        there = [there[k] for k in generator.permutation(len(there))[:count]]
    return np.sort(np.concatenate(there or chosen))


def another_of_class(labels: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """For each image another of its class: of another group where the class has one; itself where it is alone.

    Args:
        labels: (n,) int64.
        groups: (n,) int64.

    Returns:
        (n,) int64.
    """
    another = np.arange(len(labels))
    for k in np.unique(labels):
        own = np.flatnonzero(labels == k)
        own = own[np.argsort(groups[own], kind="stable")]
        for place, i in enumerate(own):
            # From the other half of the class on, so that these images are spread over it.
            others = np.roll(own, -place - max(1, len(own) // 2))
            elsewhere = others[groups[others] != groups[i]]
            another[i] = elsewhere[0] if len(elsewhere) else others[0]
    return another


def pixels_of(
    maps: np.ndarray, masks: np.ndarray | None, labels: np.ndarray, groups: np.ndarray, side: int, seed: int
) -> Pixels:
    """Pixels that each kind of map takes out first.

    Args:
        maps: (n, h, w) contrasts of the true class.
        masks: (n, S, S) uint8 labels, or None.
        labels: (n,) int64.
        groups: (n,) int64.
        side: S.
        seed: of the random maps, and of what decides between equal pixels.

    Returns:
        Kind to (m,) int64, the images it exists for, and (m, S, S) bool, the pixels.
    """
    everyone, another = np.arange(len(maps)), another_of_class(labels, groups)
    noise = np.random.default_rng(seed).normal(size=maps.shape)
    found = {
        "cam": maps,
        "random": noise,
        "other": maps[another],
        "centre": np.broadcast_to(centre_prior(maps.shape[1:]), maps.shape),
    }
    there = dict.fromkeys(found, everyone) | {"other": np.flatnonzero(another != everyone)}
    out = {
        kind: (there[kind], first_pixels(enlarge(each[there[kind]], side), FRACTION, seed))
        for kind, each in found.items()
        if len(there[kind])
    }
    inside = np.zeros((len(maps), side, side), bool) if masks is None else masks == EVIDENCE
    if len(seen := np.flatnonzero(inside.any(axis=(1, 2)))):
        out["evidence"] = (seen, evidence_pixels(inside[seen], FRACTION, seed))
    return {kind: out[kind] for kind in KINDS if kind in out}


def filled_images(imputer: LinearImputer, images: np.ndarray, removals: list[Removal], seed: int) -> np.ndarray:
    """Images with pixels filled in.

    Args:
        imputer: for images of this size.
        images: (n, S, S, 3) uint8.
        removals: m of them.
        seed: of the noise, which is the same for all kinds of one image.

    Returns:
        (m, S, S, 3) float64, 0 to 255 (noise may leave that range a little).
    """
    return np.stack([imputer.fill_noisily(images[i], gone, (seed, i)) for _, i, gone in removals])


def removals_of(pixels: Pixels) -> list[Removal]:
    """Each kind's pixels of each image that it exists for, from those of `pixels_of`; image by image."""
    found = [(kind, int(i), gone) for kind, each in pixels.items() for i, gone in zip(*each, strict=True)]
    return sorted(found, key=lambda removal: removal[1])
