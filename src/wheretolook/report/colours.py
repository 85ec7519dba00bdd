"""The two colour maps that every picture of a map is drawn with, as tables of 256 colours (numpy only).

Both are walked at constant speed through Oklab, a space where equal distances look equally far apart
(Ottosson 2020, https://bottosson.github.io/posts/oklab/): no edge appears in a picture that is not in the map, and
lightness alone, as in a print without colour, carries the order.
"""

from functools import cache

import numpy as np

_LMS_FROM_LAB = np.array(
    [[1.0, 0.3963377774, 0.2158037573], [1.0, -0.1055613458, -0.0638541728], [1.0, -0.0894841775, -1.2914855480]]
)
_RGB_FROM_LMS = np.array(
    [
        [4.0767416621, -3.3077115913, 0.2309699292],
        [-1.2684380046, 2.6097574011, -0.3413193965],
        [-0.0041960863, -0.7034186147, 1.7076147010],
    ]
)


@cache
def sequential() -> np.ndarray:
    """Colours of a positive map: row 0 none (near black), row 255 the most (pale yellow), lightness rising throughout.

    Returns:
        (256, 3) uint8 sRGB, read-only.
    """
    t = np.linspace(0, 1, 4096)
    lightness = 0.16 + 0.80 * t
    hue = np.interp(t, [0, 0.35, 0.7, 1], [285, 345, 405, 465])
    chroma = np.interp(t, [0, 0.15, 0.4, 0.7, 1], [0.03, 0.11, 0.175, 0.155, 0.09])
    return _table(lightness, chroma, hue)


@cache
def diverging() -> np.ndarray:
    """Colours of a signed map: row 0 the most negative (blue), the middle zero (near white), row 255 the most (red).

    Both arms have the same lightness at the same distance from zero, so that neither sign looks stronger. Zero is the
    two equal rows 127 and 128.

    Returns:
        (256, 3) uint8 sRGB, read-only.
    """
    t = np.linspace(0, 1, 2048)
    lightness = 0.97 - 0.55 * t
    negative = _table(lightness, np.interp(t, [0, 0.5, 1], [0.0, 0.10, 0.13]), np.full_like(t, 252.0), 128)
    positive = _table(lightness, np.interp(t, [0, 0.5, 1], [0.0, 0.14, 0.165]), np.interp(t, [0, 1], [45.0, 30.0]), 128)
    return _read_only(np.concatenate([negative[::-1], positive]))


def colour(values: np.ndarray, signed: bool) -> np.ndarray:
    """Colours of normalised values; what lies outside the range takes the colour of its end.

    Args:
        values: any shape, float: 0 to 1 for a positive map, -1 to 1 for a signed one.
        signed: draw with `diverging` rather than `sequential`.

    Returns:
        values.shape + (3,) uint8 sRGB.

    Raises:
        ValueError: a value is not finite.
    """
    if not np.isfinite(values).all():
        raise ValueError("a map holds a value that is not finite, which has no colour")
    unit = (np.asarray(values) + 1) / 2 if signed else np.asarray(values)
    rows = np.floor(np.clip(unit, 0, 1) * 255 + 0.5).astype(np.intp)
    return (diverging() if signed else sequential())[rows]


def opacity(values: np.ndarray) -> np.ndarray:
    """How much of a map's colour covers its image: nothing at zero, three quarters at half strength, then all.

    Args:
        values: any shape, normalised as for `colour`.

    Returns:
        float, same shape, 0 to 1.
    """
    return 1.0 - (1.0 - np.minimum(1.0, np.abs(values))) ** 2


def _table(lightness: np.ndarray, chroma: np.ndarray, hue: np.ndarray, count: int = 256) -> np.ndarray:
    """`count` colours at equal distances along a path of Oklab given by lightness, chroma and hue (degrees)."""
    angle = np.deg2rad(hue)
    path = np.stack([lightness, chroma * np.cos(angle), chroma * np.sin(angle)], axis=-1)
    walked = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(path, axis=0), axis=1))])
    stops = np.linspace(0, walked[-1], count)
    even = np.stack([np.interp(stops, walked, path[:, axis]) for axis in range(3)], axis=-1)
    linear = np.clip((even @ _LMS_FROM_LAB.T) ** 3 @ _RGB_FROM_LMS.T, 0, 1)
    encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return _read_only(np.rint(encoded * 255).astype(np.uint8))


def _read_only(table: np.ndarray) -> np.ndarray:
    table.setflags(write=False)
    return table
