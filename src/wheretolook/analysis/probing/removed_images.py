"""Images with the pixels taken out that each kind of map marks first."""

import numpy as np

from wheretolook.analysis.maps.centre import centre_prior
from wheretolook.analysis.maps.enlarge import enlarge
from wheretolook.analysis.probing.faithfulness import KINDS
from wheretolook.analysis.probing.imputation import LinearImputer
from wheretolook.analysis.probing.removal import FRACTION, evidence_pixels, first_pixels
from wheretolook.data.labels import EVIDENCE

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
    noises = [np.random.default_rng([seed, i]).normal(size=images.shape[1:]) for _, i, _ in removals]
    return np.stack(
        [imputer.fill_noisily(images[i], gone, noise) for (_, i, gone), noise in zip(removals, noises, strict=True)]
    )


def removals_of(pixels: Pixels) -> list[Removal]:
    """Each kind's pixels of each image that it exists for, from those of `pixels_of`."""
    return [(kind, int(i), gone) for kind, found in pixels.items() for i, gone in zip(*found, strict=True)]
