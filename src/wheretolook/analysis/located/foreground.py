"""An estimate of which pixels are the object, for images without a mask: whatever differs from the border's colour."""

import numpy as np

BINS = 64
FRAME = 0.03  # width of the border, as a share of the side
FAINT = 8  # of 255: an image that differs from its border by less all over has no foreground
# An object leaves most of the border free: where the border's pixels are far from its colour at least half as often as
# those inside, what is shown fills the image (a texture, a close-up), and there is no object to be found.
FILLED = 0.5


def estimate_foreground(images: np.ndarray) -> np.ndarray:
    """Pixels whose colour is far from the median colour of the border; what is far, Otsu's threshold says.

    Holes are filled: an object's own pale parts belong to it. An estimate, to be named so wherever it is shown: shadows
    on the background pass for objects.

    Args:
        images: (n, S, S, 3) uint8.

    Returns:
        (n, S, S) bool; none where an image is even, or where what it shows fills it.
    """
    from scipy.ndimage import binary_fill_holes

    width = max(1, round(FRAME * images.shape[1]))
    frame = np.ones(images.shape[1:3], bool)
    frame[width:-width, width:-width] = False
    colour = np.median(images[:, frame], axis=1).astype(np.float32)
    distance = np.sqrt(((images - colour[:, None, None]) ** 2).sum(axis=-1))
    far = distance > otsu_thresholds(distance)[:, None, None]
    there = distance.max(axis=(1, 2)) >= FAINT
    there &= far[:, frame].mean(axis=1) < FILLED * far[:, ~frame].mean(axis=1)
    far &= there[:, None, None]
    return np.stack([binary_fill_holes(each) for each in far]) if len(far) else far


def otsu_thresholds(values: np.ndarray) -> np.ndarray:
    """The cut of each image's values that sets two groups most apart (Otsu 1979), on a histogram from 0 to its largest.

    Args:
        values: (n, ...) float32, not negative.

    Returns:
        (n,) float32, upper edge of the last bin below the cut; values above it are the upper group.
    """
    rows = values.reshape(len(values), -1)
    top = rows.max(axis=1)
    top = np.where(top > 0, top, 1)
    bins = np.minimum((rows * (BINS / top)[:, None]).astype(np.int64), BINS - 1)
    offset = np.arange(len(rows))[:, None] * BINS
    counts = np.bincount((bins + offset).ravel(), minlength=BINS * len(rows)).reshape(-1, BINS).astype(np.float64)
    below, sums = counts.cumsum(axis=1), (counts * np.arange(BINS)).cumsum(axis=1)
    total, whole = below[:, -1:], sums[:, -1:]
    sides = below * (total - below)
    between = np.where(sides > 0, (sums * total - whole * below) ** 2 / np.where(sides > 0, sides, 1), 0)
    return ((between.argmax(axis=1) + 1) * top / BINS).astype(np.float32)
