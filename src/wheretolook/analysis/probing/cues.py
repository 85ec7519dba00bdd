"""Changes of a whole image: cues exchanged or destroyed, with what that costs a network; and small changes."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image

from wheretolook.analysis.grid import LABELS
from wheretolook.analysis.probing.effects import Changes, Probed, cost_of
from wheretolook.analysis.probing.infills import Infiller
from wheretolook.networks.runtime.resumable import Piece, compute_unsaved

GREY = np.array([0.299, 0.587, 0.114])  # luma (ITU-R BT.601)
LARGEST_GAIN = 4.0
BLURRED, HARDLY_BLURRED = 1 / 28, 1 / 224  # SD as a share of the width
PATCHES_A_SIDE = 4
BANDS = 24  # rings of spatial frequency

# An image, a donor image, and which pixels of each count (S, S) bool, to the changed image, (S, S, 3) float64.
Exchange = Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray], np.ndarray]


def mean_colour(image: np.ndarray, thing: np.ndarray) -> np.ndarray:
    """Mean of each channel over the pixels that count: (3,) float64, at least 1 of 255."""
    return np.maximum(image[thing].mean(axis=0), 1.0)


def exchange_hue(image: np.ndarray, donor: np.ndarray, thing: np.ndarray, donor_thing: np.ndarray) -> np.ndarray:
    """Give an image the donor's mean colour at its own brightness: a gain a channel (von Kries), black stays black."""
    own, other = mean_colour(image, thing), mean_colour(donor, donor_thing)
    return _with_gain(image, (other / (other @ GREY)) / (own / (own @ GREY)))


def exchange_brightness(image: np.ndarray, donor: np.ndarray, thing: np.ndarray, donor_thing: np.ndarray) -> np.ndarray:
    """Give an image the donor's mean brightness, its colours in proportion."""
    return _with_gain(image, mean_colour(donor, donor_thing) @ GREY / (mean_colour(image, thing) @ GREY))


def exchange_saturation(image: np.ndarray, donor: np.ndarray, thing: np.ndarray, donor_thing: np.ndarray) -> np.ndarray:
    """Give an image the donor's mean distance of colours from grey, pixel by pixel in proportion."""
    own, other = (np.abs(_chroma(each)[its]).mean() for each, its in ((image, thing), (donor, donor_thing)))
    gain = np.clip(other / max(own, 1e-6), 1 / LARGEST_GAIN, LARGEST_GAIN)
    return np.clip(_luma(image) + gain * _chroma(image), 0, 255)


def exchange_frequency(image: np.ndarray, donor: np.ndarray, thing: np.ndarray, donor_thing: np.ndarray) -> np.ndarray:
    """Give an image the donor's spectrum of spatial frequencies, ring by ring; phases, and so the layout, stay."""
    own, other = (np.fft.fft2(_luma(each)[..., 0]) for each in (image, donor))
    place = np.fft.fftfreq(len(image))
    radius = np.hypot(*np.meshgrid(place, place))
    ring = np.minimum((radius * 2 * BANDS).astype(int) + 1, BANDS)
    ring[0, 0] = 0  # the mean, which is brightness
    power = [np.bincount(ring.ravel(), weights=(np.abs(each) ** 2).ravel()) for each in (own, other)]
    gain = np.sqrt(power[1] / np.maximum(power[0], 1e-9))
    gain[0] = 1
    luma = np.fft.ifft2(own * np.clip(gain, 1 / LARGEST_GAIN, LARGEST_GAIN)[ring]).real
    return np.clip(luma[..., None] + _chroma(image), 0, 255)


EXCHANGES: dict[str, Exchange] = {
    "hue": exchange_hue,
    "saturation": exchange_saturation,
    "brightness": exchange_brightness,
    "frequency": exchange_frequency,
}


def blurred(image: np.ndarray, share: float) -> np.ndarray:
    """Gaussian blur, its SD as a share of the width."""
    from scipy.ndimage import gaussian_filter

    sd = share * len(image)
    return gaussian_filter(image.astype(np.float64), (sd, sd, 0), mode="nearest")


def shuffled(image: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Squares of an image in another order: textures stay, the layout goes (Geirhos et al. 2019, arXiv:1811.12231)."""
    side = len(image) // PATCHES_A_SIDE
    out = image.astype(np.float64)
    corners = [(side * y, side * x) for y in range(PATCHES_A_SIDE) for x in range(PATCHES_A_SIDE)]
    for (y, x), source in zip(corners, generator.permutation(len(corners)), strict=True):
        v, u = corners[source]
        out[y : y + side, x : x + side] = image[v : v + side, u : u + side]
    return out


def shifted(image: np.ndarray) -> np.ndarray:
    """An image rolled by two pixels each way, with the seams that `shuffled` has and nothing else."""
    return np.roll(image, (2, 2), axis=(0, 1)).astype(np.float64)


def onto(image: np.ndarray, thing: np.ndarray, background: np.ndarray) -> np.ndarray:
    """The thing of an image on another background, (S, S, 3)."""
    return np.where(thing[..., None], image, background).astype(np.float64)


def _with_gain(image: np.ndarray, gain: np.ndarray | float) -> np.ndarray:
    return np.clip(image * np.clip(gain, 1 / LARGEST_GAIN, LARGEST_GAIN), 0, 255)


def _luma(image: np.ndarray) -> np.ndarray:
    return (image @ GREY)[..., None]


def _chroma(image: np.ndarray) -> np.ndarray:
    return image - _luma(image)


CHANGED, FLOOR = "changed", "floor"
OUTSIDE = "outside object"
DESTROYED = ("blur", "texture")
CUES = (*EXCHANGES, OUTSIDE, *DESTROYED)


def model_cues(probed: Probed, resamples: int, seed: int, piece: Piece = compute_unsaved) -> list[dict[str, Any]]:
    """Key `global_cues` of `docs/results.md`: one row for each cue and class.

    Hue, saturation, brightness and frequency come from an image of another class (the floor: of the same class), and so
    does what lies outside the object, where masks have one. Blur and a shuffle of patches destroy (the floor: a blur
    of half a pixel, a shift of two pixels).

    Args:
        probed: the images.
        resamples: of each interval.
        seed: of donors, shuffles and intervals.
        piece: keeps what is done: logits, batch by batch.
    """
    changes, things = Changes(), objects(probed)
    donors = {CHANGED: _donors(probed, seed, same=False), FLOOR: _donors(probed, seed, same=True)}
    backgrounds = _Backgrounds(probed, things)
    for image, picture in enumerate(probed.pictures):
        for role, donor_of in donors.items():
            if (donor := donor_of[image]) < 0:
                continue
            four = picture, probed.pictures[donor], things[image], things[donor]
            for cue, exchange in EXCHANGES.items():
                changes.add((cue, role), image, partial(exchange, *four))
            if not (things[image].all() or things[donor].all()):
                background = partial(backgrounds.placed, image, int(donor))
                changes.add((OUTSIDE, role), image, background)
        generator = np.random.default_rng([seed, int(probed.rows[image])])
        changes.add(("blur", CHANGED), image, partial(blurred, picture, BLURRED))
        changes.add(("blur", FLOOR), image, partial(blurred, picture, HARDLY_BLURRED))
        changes.add(("texture", CHANGED), image, partial(shuffled, picture, generator))
        changes.add(("texture", FLOOR), image, partial(shifted, picture))
    changes.run(probed, "global cues", piece)
    return [
        row
        for cue in CUES
        for k in range(len(probed.class_names))
        if (row := _row(changes, probed, cue, k, resamples, seed))
    ]


def objects(probed: Probed) -> np.ndarray:
    """The object of each image, its foreground with the evidence: (n, S, S) bool; all of it where masks have none."""
    if probed.masks is None:
        return np.ones(probed.pictures.shape[:3], bool)
    inside = np.isin(probed.masks, LABELS["foreground"])
    return inside | ~inside.any(axis=(1, 2), keepdims=True)


class _Backgrounds:
    """Images with their objects imputed, made when the first object is put on one."""

    def __init__(self, probed: Probed, things: np.ndarray) -> None:
        self._probed, self._things = probed, things
        self._made: dict[int, np.ndarray] = {}
        self._infiller = Infiller(probed.pictures.shape[1])

    def placed(self, image: int, donor: int) -> np.ndarray:
        """The object of an image on a donor's background."""
        if donor not in self._made:
            picture, thing = self._probed.pictures[donor], self._things[donor]
            self._made[donor] = self._infiller.impute(picture, thing, None).astype(np.float32)
        return onto(self._probed.pictures[image], self._things[image], self._made[donor])


def _donors(probed: Probed, seed: int, same: bool) -> np.ndarray:
    """For each image one of its own class (of another group, where there is one), or of another: (n,), -1 for none."""
    generator, out = np.random.default_rng([seed, int(same)]), np.full(len(probed.labels), -1)
    for i, label in enumerate(probed.labels):
        others = np.flatnonzero((probed.labels == label) == same)
        others = others[others != i]
        elsewhere = others[probed.groups[others] != probed.groups[i]]
        choice = elsewhere if len(elsewhere) else others
        if len(choice):
            out[i] = generator.choice(choice)
    return out


def _row(changes: Changes, probed: Probed, cue: str, k: int, resamples: int, seed: int) -> dict[str, Any] | None:
    there, *cost = changes.cost(probed, (cue, CHANGED))
    has, *floor = changes.cost(probed, (cue, FLOOR))
    there = there & (probed.labels == k)
    if not there.any():
        return None
    pair = tuple(each[there] for each in cost), tuple(each[there] for each in floor)
    figures = cost_of(*pair, has[there], probed.groups[there], resamples, seed)
    renamed = {"control_images": "floor_images", "control_flips": "floor_flips", "control_log_odds": "floor_log_odds"}
    about = {"cue": cue, "class_name": probed.class_names[k], "exchanged": cue not in DESTROYED}
    return about | {renamed.get(key, key): value for key, value in figures.items()}


SHIFTS = (1, 3)  # pixels
NOISE = 5.0  # standard deviation, grey levels of 255
JPEG_QUALITY = 75
BRIGHTER = 0.05  # relative
DIRECTIONS = ((0, 1), (1, 0), (0, -1), (-1, 0))
WITH_FLIP = ("cells", "faces", "photos")  # presets of train.augment that mirror images


@dataclass(frozen=True)
class ChangedImage:
    """A changed image, and where its places went.

    Attributes:
        picture: (S, S, 3) uint8.
        down, across: pixels by which the content moved.
        mirrored: left and right are exchanged.
    """

    picture: np.ndarray
    down: int = 0
    across: int = 0
    mirrored: bool = False


Change = Callable[[np.ndarray, np.random.Generator], ChangedImage]


def shift(pixels: int, picture: np.ndarray, generator: np.random.Generator) -> ChangedImage:
    """Move the content by some pixels, in one of four directions; the border is replicated."""
    down, across = (pixels * each for each in DIRECTIONS[generator.integers(4)])
    rows, columns = (np.clip(np.arange(n) - by, 0, n - 1) for n, by in zip(picture.shape, (down, across), strict=False))
    return ChangedImage(picture[rows][:, columns], down, across)


def mirror(picture: np.ndarray, generator: np.random.Generator) -> ChangedImage:
    """Exchange left and right."""
    return ChangedImage(picture[:, ::-1], mirrored=True)


def noise(picture: np.ndarray, generator: np.random.Generator) -> ChangedImage:
    """Add Gaussian noise of NOISE grey levels."""
    return ChangedImage(_pixels(picture + generator.normal(0, NOISE, picture.shape)))


def jpeg(picture: np.ndarray, generator: np.random.Generator) -> ChangedImage:
    """Store as JPEG of JPEG_QUALITY, and read again."""
    stored = BytesIO()
    Image.fromarray(picture).save(stored, "JPEG", quality=JPEG_QUALITY)
    return ChangedImage(np.asarray(Image.open(stored).convert("RGB")))


def brightness(picture: np.ndarray, generator: np.random.Generator) -> ChangedImage:
    """Make brighter or darker by BRIGHTER."""
    return ChangedImage(_pixels(picture * (1 + BRIGHTER * generator.choice([-1, 1]))))


def _pixels(values: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


CHANGES: dict[str, Change] = {
    **{f"shift by {n} px": partial(shift, n) for n in SHIFTS},
    "flip": mirror,
    "noise": noise,
    "jpeg": jpeg,
    "brightness": brightness,
}


def changes_for(augment: bool | str) -> dict[str, Change]:
    """The changes that do not change the class: a flip only where the model was trained with flips.

    Args:
        augment: `train.augment` of the model; False where it is not known.
    """
    flips = augment is True or (isinstance(augment, str) and (augment in WITH_FLIP or "flip" in augment.split("+")))
    return {name: change for name, change in CHANGES.items() if flips or name != "flip"}
