"""Cues of a whole image, exchanged with another image's or destroyed: colour, brightness, detail, layout, surroundings.

An exchanged cue takes a value that occurs in the training data. The same exchange with an image of the same class is
its floor, so that an unusual hue alone does not count as use of hue. A destroyed cue has no such floor.
"""

from collections.abc import Callable

import numpy as np

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
